// The virtual machine: a stack of values, frames on it, and the loop that
// carries out instructions.
//
// The collector finds the machine's references through VisitRoots: the values
// on the stack, up to its top, and the global variables. A frame needs no
// visiting, because the function that runs lies on the stack too, where its
// frame begins. All of this is plain memory, written with plain stores.

#ifndef LOAM_EXAMPLES_TOYLANG_INTERPRETER_H_
#define LOAM_EXAMPLES_TOYLANG_INTERPRETER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "examples/toylang/builtins.h"
#include "examples/toylang/bytecode.h"
#include "examples/toylang/heap_bindings.h"
#include "examples/toylang/object_types.h"
#include "examples/toylang/value.h"

namespace toylang {

class Interpreter : public RootSource, public CallSource {
 public:
  // `file_name` is for messages, `arguments` is what args() returns.
  Interpreter(Heap& heap, std::string file_name,
              std::vector<std::string> arguments);

  // Runs a program; the first global variables are the GlobalFunctions(). False
  // after an error, which error() describes.
  bool Run(const FunctionCode& program, std::vector<std::string> global_names);

  // Calls a function of any kind. False if that failed; then the error has been
  // recorded, and whoever called fails in turn. The result is not a root.
  bool Call(Value function, const Value* arguments, size_t count,
            Value* result);

  // Records an error, with the calls that led there; returns false.
  bool Fail(const std::string& message);
  bool FailOutOfMemory() { return Fail("out of memory"); }

  // The message and a trace of calls, in several lines.
  const std::string& error() const { return error_; }

  const std::vector<std::string>& arguments() const { return arguments_; }

  void VisitRoots(RootVisitor visitor) override;
  size_t ListCalls(ProfiledCall* calls, size_t max) const override;

 private:
  struct Frame {
    Value* base;            // the function; then arguments and locals
    const Instruction* ip;  // the next instruction; current only while the
                            // frame is not running, or is in a slow path
    Closure* closure() const {
      return reinterpret_cast<Closure*>(base->AsObject());
    }
  };

  struct FreeMemory {
    void operator()(void* memory) const;
  };

  bool DefineGlobals(std::vector<std::string> names);

  // interpreter.cc: carries out instructions until only `depth` frames remain.
  bool Execute(size_t depth);

  // interpreter_calls.cc. Function or receiver, and arguments, are on the
  // stack.
  bool BeginCall(size_t count);
  bool PushFrame(Closure* closure, size_t count);
  bool CallBuiltin(const BuiltinInfo& info, size_t count);
  bool Invoke(String* name, size_t count);
  void CallFinalizer(Value function, Value object);
  std::string Trace() const;
  static uint32_t LineOf(const Frame& frame);

  // interpreter_operations.cc: instructions, except for their fast paths. They
  // pop their operands and push their result.
  bool Add();
  bool FailArithmetic(const char* verb);
  bool Compare(Opcode opcode);
  bool LoadIndex();
  bool StoreIndex();
  bool LoadField(String* name);
  bool StoreField(String* name);
  bool Iterate();
  bool FailRange();
  bool MakeList(size_t count);
  bool MakeMap(size_t count);
  bool MakeBox(Value* local);
  bool MakeClosure(Prototype* prototype, const Instruction* captures,
                   size_t count);
  bool ReplaceOperands(size_t count, const void* object);

  Heap& heap_;
  const std::string file_name_;
  const std::vector<std::string> arguments_;

  // From calloc: pages that are never used cost nothing.
  std::unique_ptr<Value[], FreeMemory> stack_;
  Value* top_;  // the first free slot. Execute keeps it in a register, and
                // writes it here before anything that may collect or call
  Value* stack_end_;

  std::unique_ptr<Frame[], FreeMemory> frames_;
  size_t depth_ = 0;         // frames in use
  size_t native_depth_ = 0;  // Call within a builtin within Call...

  std::vector<Value> globals_;
  std::vector<std::string> global_names_;

  std::string error_;
};

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_INTERPRETER_H_
