// A function while it is being compiled: its instructions and constants so
// far, where its local variables are, and what it captures.

#ifndef LOAM_EXAMPLES_TOYLANG_FUNCTION_BUILDER_H_
#define LOAM_EXAMPLES_TOYLANG_FUNCTION_BUILDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "examples/toylang/ast.h"
#include "examples/toylang/bytecode.h"
#include "examples/toylang/lexer.h"

namespace toylang {

class FunctionBuilder {
 public:
  explicit FunctionBuilder(const Node* function);

  // Appends an instruction and returns its index.
  uint32_t Emit(Location where, Opcode opcode, uint32_t operand = 0);
  uint32_t Emit(Location where, Opcode opcode, uint32_t first, uint32_t second);

  uint32_t NextIndex() const {
    return static_cast<uint32_t>(code_->code.size());
  }
  // Lets the jump at `index` lead to the next instruction.
  void PatchJump(uint32_t index);

  uint32_t NumberConstant(Location where, double number);
  uint32_t StringConstant(Location where, const std::string& text);

  // The value on top of the stack becomes a local variable; without
  // `variable`, one without a name. Puts it into a box if it is captured.
  uint32_t AddLocal(Location where, Variable* variable);
  uint32_t local_count() const { return local_count_; }
  // Pops the newest locals at run time; they are still known afterwards, since
  // a break pops what the code after it uses.
  void PopLocals(Location where, uint32_t down_to);
  void ForgetLocals(uint32_t down_to) { local_count_ = down_to; }

  // Pushes the variable's value, or pops it from the stack.
  void Load(Location where, Variable* variable);
  void Store(Location where, Variable* variable);

  // Pushes a closure of `inner`, whose compilation is complete.
  void EmitClosure(Location where, FunctionBuilder* inner);

  std::unique_ptr<FunctionCode> TakeCode() { return std::move(code_); }

 private:
  uint32_t Append(Location where, Instruction instruction);
  uint32_t AddConstant(Location where, FunctionCode::Constant constant);
  // The captured box that holds a variable of an enclosing function.
  uint32_t CaptureIndex(Variable* variable);

  const Node* const function_;
  std::unique_ptr<FunctionCode> code_;
  std::unordered_map<uint64_t, uint32_t> number_constants_;  // by their bits
  std::unordered_map<std::string, uint32_t> string_constants_;
  std::vector<Variable*> captures_;
  uint32_t local_count_;
};

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_FUNCTION_BUILDER_H_
