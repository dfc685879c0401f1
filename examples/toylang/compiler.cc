#include "examples/toylang/compiler.h"

#include <string>
#include <vector>

#include "examples/toylang/function_builder.h"

namespace toylang {
namespace {

// Compiles one function. An expression leaves one value on the stack, a
// statement leaves the stack as it was, except that a declaration leaves its
// local variable there.
class Compiler {
 public:
  explicit Compiler(const Node& function)
      : function_(function), builder_(&function) {}

  // Returns the builder, complete.
  FunctionBuilder* Run() {
    const Node& body = *function_.children[0];
    CompileAll(body, 0);
    builder_.Emit(body.end, Opcode::kNil);
    builder_.Emit(body.end, Opcode::kReturn);
    return &builder_;
  }

 private:
  struct Loop {
    Loop* enclosing;
    uint32_t start;                // where continue jumps to
    uint32_t locals;               // what is on the stack there
    std::vector<uint32_t> breaks;  // jumps to the end
  };

  // Returns how many.
  uint32_t CompileAll(const Node& node, size_t from) {
    for (size_t i = from; i < node.children.size(); i++) {
      Compile(*node.children[i]);
    }
    return static_cast<uint32_t>(node.children.size() - from);
  }

  void Compile(const Node& node) {
    const Location where = node.where;
    switch (node.kind) {
      case NodeKind::kNumber:
        builder_.Emit(where, Opcode::kConstant,
                      builder_.NumberConstant(where, node.number));
        break;
      case NodeKind::kString:
        builder_.Emit(where, Opcode::kConstant,
                      builder_.StringConstant(where, node.text));
        break;
      case NodeKind::kConstant:
        builder_.Emit(where, node.opcode);
        break;
      case NodeKind::kName:
        builder_.Load(where, node.variable);
        break;
      case NodeKind::kUnary:
      case NodeKind::kBinary:
        CompileAll(node, 0);
        builder_.Emit(where, node.opcode);
        break;
      case NodeKind::kLogical: {
        Compile(*node.children[0]);
        const uint32_t jump = builder_.Emit(where, node.opcode);
        Compile(*node.children[1]);
        builder_.PatchJump(jump);
        break;
      }
      case NodeKind::kCall:
        Compile(*node.children[0]);
        builder_.Emit(where, Opcode::kCall, CompileAll(node, 1));
        break;
      case NodeKind::kInvoke: {
        Compile(*node.children[0]);
        const uint32_t count = CompileAll(node, 1);
        builder_.Emit(where, Opcode::kInvoke,
                      builder_.StringConstant(where, node.text), count);
        break;
      }
      case NodeKind::kIndex:
        CompileAll(node, 0);
        builder_.Emit(where, Opcode::kLoadIndex);
        break;
      case NodeKind::kField:
        CompileAll(node, 0);
        builder_.Emit(where, Opcode::kLoadField,
                      builder_.StringConstant(where, node.text));
        break;
      case NodeKind::kList:
        builder_.Emit(where, Opcode::kMakeList, CompileAll(node, 0));
        break;
      case NodeKind::kMap:
        builder_.Emit(where, Opcode::kMakeMap, CompileAll(node, 0) / 2);
        break;
      case NodeKind::kFunction: {
        Compiler inner(node);
        builder_.EmitClosure(where, inner.Run());
        break;
      }

      case NodeKind::kExpression:
        CompileAll(node, 0);
        builder_.Emit(where, Opcode::kPop, 1);
        break;
      case NodeKind::kLet:
        CompileAll(node, 0);
        Define(node);
        break;
      case NodeKind::kDeclareFunction:
        DeclareFunction(node);
        break;
      case NodeKind::kAssign:
        Assign(node);
        break;
      case NodeKind::kBlock: {
        const uint32_t locals = builder_.local_count();
        CompileAll(node, 0);
        builder_.PopLocals(node.end, locals);
        builder_.ForgetLocals(locals);
        break;
      }
      case NodeKind::kIf:
        If(node);
        break;
      case NodeKind::kWhile:
        While(node);
        break;
      case NodeKind::kForEach:
        Compile(*node.children[0]);
        builder_.Emit(where, Opcode::kIterate);
        For(node, Opcode::kListNext, 2);
        break;
      case NodeKind::kForRange:
        for (size_t i = 0; i < 3; i++) Compile(*node.children[i]);
        For(node, Opcode::kRangeNext, 3);
        break;
      case NodeKind::kBreak:
        LeaveLoopBody(where, "break");
        loop_->breaks.push_back(builder_.Emit(where, Opcode::kJump));
        break;
      case NodeKind::kContinue:
        LeaveLoopBody(where, "continue");
        builder_.Emit(where, Opcode::kJumpBack, loop_->start);
        break;
      case NodeKind::kReturn:
        CompileAll(node, 0);
        builder_.Emit(where, Opcode::kReturn);
        break;
    }
  }

  // The declared variable takes the value on top of the stack.
  void Define(const Node& node) {
    Variable* variable = node.declared[0].get();
    if (variable->function == nullptr) {
      builder_.Store(node.where, variable);
    } else {
      builder_.AddLocal(node.where, variable);
    }
  }

  void DeclareFunction(const Node& node) {
    Variable* variable = node.declared[0].get();
    if (!variable->captured) {
      CompileAll(node, 0);
      Define(node);
      return;
    }
    // It may capture itself: there must be a box before there is a closure.
    builder_.Emit(node.where, Opcode::kNil);
    builder_.AddLocal(node.where, variable);
    CompileAll(node, 0);
    builder_.Store(node.where, variable);
  }

  void Assign(const Node& node) {
    const Location where = node.where;
    const Node& target = *node.children[0];
    const bool is_compound = node.opcode != Opcode::kPop;
    if (target.kind == NodeKind::kName) {
      if (is_compound) builder_.Load(where, target.variable);
      AssignedValue(node);
      builder_.Store(where, target.variable);
    } else if (target.kind == NodeKind::kIndex) {
      CompileAll(target, 0);
      if (is_compound) {
        builder_.Emit(where, Opcode::kDuplicatePair);
        builder_.Emit(where, Opcode::kLoadIndex);
      }
      AssignedValue(node);
      builder_.Emit(where, Opcode::kStoreIndex);
    } else {
      const uint32_t name = builder_.StringConstant(where, target.text);
      CompileAll(target, 0);
      if (is_compound) {
        builder_.Emit(where, Opcode::kDuplicate);
        builder_.Emit(where, Opcode::kLoadField, name);
      }
      AssignedValue(node);
      builder_.Emit(where, Opcode::kStoreField, name);
    }
  }

  // The right side; in a compound assignment, combined with the old value,
  // which is on the stack.
  void AssignedValue(const Node& node) {
    Compile(*node.children[1]);
    if (node.opcode != Opcode::kPop) builder_.Emit(node.where, node.opcode);
  }

  void If(const Node& node) {
    Compile(*node.children[0]);
    const uint32_t to_else = builder_.Emit(node.where, Opcode::kJumpIfFalse);
    Compile(*node.children[1]);
    if (node.children.size() == 2) {
      builder_.PatchJump(to_else);
      return;
    }
    const uint32_t to_end = builder_.Emit(node.where, Opcode::kJump);
    builder_.PatchJump(to_else);
    Compile(*node.children[2]);
    builder_.PatchJump(to_end);
  }

  // ---- Loops

  Loop NewLoop() {
    return {loop_, builder_.NextIndex(), builder_.local_count(), {}};
  }

  void LeaveLoopBody(Location where, const char* what) {
    if (loop_ == nullptr) {
      throw SyntaxError{where, std::string(what) + " outside of a loop"};
    }
    builder_.PopLocals(where, loop_->locals);
  }

  // Jumps back to the start; `to_end` and all breaks lead behind that.
  void FinishLoop(Location where, uint32_t to_end, const Loop& loop) {
    builder_.Emit(where, Opcode::kJumpBack, loop.start);
    builder_.PatchJump(to_end);
    for (uint32_t jump : loop.breaks) builder_.PatchJump(jump);
    loop_ = loop.enclosing;
  }

  void While(const Node& node) {
    Loop loop = NewLoop();
    Compile(*node.children[0]);
    const uint32_t to_end = builder_.Emit(node.where, Opcode::kJumpIfFalse);
    loop_ = &loop;
    Compile(*node.children[1]);
    FinishLoop(node.where, to_end, loop);
  }

  // The loop's state is on the stack: `state_count` locals without names.
  // `next` pushes the loop variable: a new one each time, so that closures made
  // in different rounds capture different variables.
  void For(const Node& node, Opcode next, uint32_t state_count) {
    const uint32_t state = builder_.local_count();
    for (uint32_t i = 0; i < state_count; i++) {
      builder_.AddLocal(node.where, nullptr);
    }
    Loop loop = NewLoop();
    builder_.Emit(node.where, next, state);
    const uint32_t to_end = builder_.Emit(node.where, Opcode::kJump);
    loop_ = &loop;
    builder_.AddLocal(node.where, node.declared[0].get());
    Compile(*node.children.back());
    builder_.PopLocals(node.where, loop.locals);
    builder_.ForgetLocals(loop.locals);
    FinishLoop(node.where, to_end, loop);
    builder_.PopLocals(node.where, state);
    builder_.ForgetLocals(state);
  }

  const Node& function_;
  FunctionBuilder builder_;
  Loop* loop_ = nullptr;  // innermost
};

}  // namespace

std::unique_ptr<FunctionCode> Compile(const Node& program) {
  return Compiler(program).Run()->TakeCode();
}

}  // namespace toylang
