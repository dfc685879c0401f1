// The instructions of the virtual machine, and a function made of them.
//
// The machine has a stack of values. A call's frame begins with the function
// called, then its arguments, then its other local variables, then temporaries;
// "local n" counts from there. An instruction is 32 bits: the opcode in the low
// 8, and above them either one operand of 24 bits, or one of 16 (first) and one
// of 8 (second).

#ifndef LOAM_EXAMPLES_TOYLANG_BYTECODE_H_
#define LOAM_EXAMPLES_TOYLANG_BYTECODE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace toylang {

using Instruction = uint32_t;

enum class Opcode : uint8_t {
  // Push something.
  kConstant,  // constant n
  kNil,
  kTrue,
  kFalse,
  kDuplicate,      // the top value
  kDuplicatePair,  // the top two values
  kPop,            // n values off

  // Variables. Stores pop.
  kLoadLocal,  // local n
  kStoreLocal,
  kMakeBox,    // local n = a new box holding it
  kLoadBoxed,  // the content of the box in local n
  kStoreBoxed,
  kLoadCaptured,  // the content of captured box n of the running closure
  kStoreCaptured,
  kLoadGlobal,  // global n; an error while undefined
  kStoreGlobal,

  // Operators.
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kRemainder,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kNegate,
  kNot,

  // Jumps to instruction n.
  kJump,
  kJumpBack,          // also a safepoint
  kJumpIfFalse,       // pops
  kJumpIfFalseOrPop,  // "and": pops only if it does not jump
  kJumpIfTrueOrPop,   // "or"

  // Loops. Both push the loop variable and skip the next instruction, which
  // jumps out of the loop, while there is more to come.
  kIterate,    // pop x; push a list of what to walk, and the position 0
  kListNext,   // list in local n, position in local n + 1
  kRangeNext,  // number in local n, limit in n + 1, step in n + 2

  // Calls. n arguments lie on top of the function or the receiver.
  kCall,
  kInvoke,        // first: constant with the name; second: number of arguments
  kReturn,        // the top value
  kClosure,       // prototype in constant n; one kCapture... follows per box
  kCaptureLocal,  // box in local n
  kCaptureCaptured,  // captured box n of the running closure

  // Lists and maps.
  kMakeList,    // of the top n values
  kMakeMap,     // of the top n pairs of key and value
  kLoadIndex,   // pops object and key
  kStoreIndex,  // pops object, key and value
  kLoadField,   // name in constant n
  kStoreField,
};

constexpr uint32_t kMaxOperand = (1u << 24) - 1;
constexpr uint32_t kMaxFirst = (1u << 16) - 1;
constexpr uint32_t kMaxArguments = 255;

constexpr Instruction Encode(Opcode opcode, uint32_t operand) {
  return static_cast<uint32_t>(opcode) | operand << 8;
}
constexpr Instruction Encode(Opcode opcode, uint32_t first, uint32_t second) {
  return static_cast<uint32_t>(opcode) | first << 8 | second << 24;
}
constexpr Opcode OpcodeOf(Instruction i) {
  return static_cast<Opcode>(i & 0xff);
}
constexpr uint32_t OperandOf(Instruction i) { return i >> 8; }
constexpr uint32_t FirstOf(Instruction i) { return (i >> 8) & 0xffff; }
constexpr uint32_t SecondOf(Instruction i) { return i >> 24; }

// What the compiler makes of a function: ordinary memory. function_loader.h
// turns it into objects on the heap.
struct FunctionCode {
  using Constant =
      std::variant<double, std::string, std::unique_ptr<FunctionCode>>;

  std::string name;
  uint32_t arity = 0;
  std::vector<Instruction> code;
  std::vector<uint32_t> lines;  // one per instruction
  std::vector<Constant> constants;
};

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_BYTECODE_H_
