#include "examples/toylang/function_builder.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace toylang {

FunctionBuilder::FunctionBuilder(const Node* function)
    : function_(function),
      code_(std::make_unique<FunctionCode>()),
      local_count_(1) {  // the function itself
  code_->name = function->text;
  code_->arity = static_cast<uint32_t>(function->declared.size());
  for (const VariablePtr& parameter : function->declared) {
    AddLocal(function->where, parameter.get());
  }
}

uint32_t FunctionBuilder::Append(Location where, Instruction instruction) {
  if (code_->code.size() == kMaxOperand) {
    throw SyntaxError{where, "this function is too long"};
  }
  code_->code.push_back(instruction);
  code_->lines.push_back(where.line);
  return NextIndex() - 1;
}

uint32_t FunctionBuilder::Emit(Location where, Opcode opcode,
                               uint32_t operand) {
  return Append(where, Encode(opcode, operand));
}

uint32_t FunctionBuilder::Emit(Location where, Opcode opcode, uint32_t first,
                               uint32_t second) {
  return Append(where, Encode(opcode, first, second));
}

void FunctionBuilder::PatchJump(uint32_t index) {
  Instruction& jump = code_->code[index];
  jump = Encode(OpcodeOf(jump), NextIndex());
}

uint32_t FunctionBuilder::AddConstant(Location where,
                                      FunctionCode::Constant constant) {
  if (code_->constants.size() > kMaxFirst) {
    throw SyntaxError{where, "too many constants in one function"};
  }
  code_->constants.push_back(std::move(constant));
  return static_cast<uint32_t>(code_->constants.size() - 1);
}

uint32_t FunctionBuilder::NumberConstant(Location where, double number) {
  const auto [position, is_new] =
      number_constants_.emplace(std::bit_cast<uint64_t>(number), 0);
  if (is_new) position->second = AddConstant(where, number);
  return position->second;
}

uint32_t FunctionBuilder::StringConstant(Location where,
                                         const std::string& text) {
  const auto [position, is_new] = string_constants_.emplace(text, 0);
  if (is_new) position->second = AddConstant(where, text);
  return position->second;
}

uint32_t FunctionBuilder::AddLocal(Location where, Variable* variable) {
  const uint32_t slot = local_count_++;
  if (variable != nullptr) {
    variable->slot = slot;
    if (variable->captured) Emit(where, Opcode::kMakeBox, slot);
  }
  return slot;
}

void FunctionBuilder::PopLocals(Location where, uint32_t down_to) {
  if (local_count_ > down_to) {
    Emit(where, Opcode::kPop, local_count_ - down_to);
  }
}

void FunctionBuilder::Load(Location where, Variable* variable) {
  if (variable->function == nullptr) {
    Emit(where, Opcode::kLoadGlobal, variable->slot);
  } else if (variable->function != function_) {
    Emit(where, Opcode::kLoadCaptured, CaptureIndex(variable));
  } else if (variable->captured) {
    Emit(where, Opcode::kLoadBoxed, variable->slot);
  } else {
    Emit(where, Opcode::kLoadLocal, variable->slot);
  }
}

void FunctionBuilder::Store(Location where, Variable* variable) {
  if (variable->function == nullptr) {
    Emit(where, Opcode::kStoreGlobal, variable->slot);
  } else if (variable->function != function_) {
    Emit(where, Opcode::kStoreCaptured, CaptureIndex(variable));
  } else if (variable->captured) {
    Emit(where, Opcode::kStoreBoxed, variable->slot);
  } else {
    Emit(where, Opcode::kStoreLocal, variable->slot);
  }
}

uint32_t FunctionBuilder::CaptureIndex(Variable* variable) {
  const auto found = std::find(captures_.begin(), captures_.end(), variable);
  const auto index = static_cast<uint32_t>(found - captures_.begin());
  if (found == captures_.end()) captures_.push_back(variable);
  return index;
}

void FunctionBuilder::EmitClosure(Location where, FunctionBuilder* inner) {
  Emit(where, Opcode::kClosure, AddConstant(where, inner->TakeCode()));
  for (Variable* variable : inner->captures_) {
    if (variable->function == function_) {
      Emit(where, Opcode::kCaptureLocal, variable->slot);
    } else {
      Emit(where, Opcode::kCaptureCaptured, CaptureIndex(variable));
    }
  }
}

}  // namespace toylang
