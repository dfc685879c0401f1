#include "examples/toylang/interpreter.h"

#include <cmath>

namespace toylang {
namespace {

double Remainder(double a, double b) {  // with the sign of b
  const double remainder = std::fmod(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b
                                                      : remainder;
}

}  // namespace

// `sp`, `ip` and what belongs to the running function live in local variables.
// SAVE makes them visible to the collector, to traces and to calls; RELOAD
// fetches them after a call or return. SLOW is a call to one of the member
// functions that work on top_.
#define SAVE() (frame->ip = ip, top_ = sp)
#define RELOAD()                               \
  do {                                         \
    frame = &frames_[depth_ - 1];              \
    base = frame->base;                        \
    ip = frame->ip;                            \
    sp = top_;                                 \
    closure = frame->closure();                \
    constants = closure->prototype->constants; \
    code = closure->prototype->code;           \
  } while (0)
#define SLOW(call)          \
  do {                      \
    SAVE();                 \
    if (!(call)) goto fail; \
    sp = top_;              \
  } while (0)
#define ARITHMETIC(expression, otherwise)         \
  do {                                            \
    if (sp[-2].IsNumber() && sp[-1].IsNumber()) { \
      const double a = sp[-2].AsNumber();         \
      const double b = sp[-1].AsNumber();         \
      sp--;                                       \
      sp[-1] = expression;                        \
    } else {                                      \
      SLOW(otherwise);                            \
    }                                             \
  } while (0)

bool Interpreter::Execute(size_t depth) {
  Frame* frame;
  Value* base;
  const Instruction* ip;
  Value* sp;
  Closure* closure;
  const Value* constants;
  const Instruction* code;
  RELOAD();

  for (;;) {
    const Instruction instruction = *ip++;
    switch (OpcodeOf(instruction)) {
      case Opcode::kConstant:
        *sp++ = constants[OperandOf(instruction)];
        break;
      case Opcode::kNil:
        *sp++ = Value::Nil();
        break;
      case Opcode::kTrue:
        *sp++ = Value::Boolean(true);
        break;
      case Opcode::kFalse:
        *sp++ = Value::Boolean(false);
        break;
      case Opcode::kDuplicate:
        sp[0] = sp[-1];
        sp++;
        break;
      case Opcode::kDuplicatePair:
        sp[0] = sp[-2];
        sp[1] = sp[-1];
        sp += 2;
        break;
      case Opcode::kPop:
        sp -= OperandOf(instruction);
        break;

      case Opcode::kLoadLocal:
        *sp++ = base[OperandOf(instruction)];
        break;
      case Opcode::kStoreLocal:
        base[OperandOf(instruction)] = *--sp;
        break;
      case Opcode::kMakeBox:
        SLOW(MakeBox(&base[OperandOf(instruction)]));
        break;
      case Opcode::kLoadBoxed:
        *sp++ = TryAs<Box>(base[OperandOf(instruction)])->value;
        break;
      case Opcode::kStoreBoxed: {
        Box* box = TryAs<Box>(base[OperandOf(instruction)]);
        heap_.Store(box, &box->value, *--sp);
        break;
      }
      case Opcode::kLoadCaptured:
        *sp++ = closure->captured()[OperandOf(instruction)]->value;
        break;
      case Opcode::kStoreCaptured: {
        Box* box = closure->captured()[OperandOf(instruction)];
        heap_.Store(box, &box->value, *--sp);
        break;
      }
      case Opcode::kLoadGlobal: {
        const Value value = globals_[OperandOf(instruction)];
        if (value.IsAbsent()) {
          SLOW(Fail("'" + global_names_[OperandOf(instruction)] +
                    "' is used before it is defined"));
        }
        *sp++ = value;
        break;
      }
      case Opcode::kStoreGlobal:
        globals_[OperandOf(instruction)] = *--sp;
        break;

      case Opcode::kAdd:
        ARITHMETIC(Value::Number(a + b), Add());
        break;
      case Opcode::kSubtract:
        ARITHMETIC(Value::Number(a - b), FailArithmetic("subtract"));
        break;
      case Opcode::kMultiply:
        ARITHMETIC(Value::Number(a * b), FailArithmetic("multiply"));
        break;
      case Opcode::kDivide:
        ARITHMETIC(Value::Number(a / b), FailArithmetic("divide"));
        break;
      case Opcode::kRemainder:
        ARITHMETIC(Value::Number(Remainder(a, b)), FailArithmetic("divide"));
        break;
      case Opcode::kEqual:
        sp--;
        sp[-1] = Value::Boolean(ValuesEqual(sp[-1], sp[0]));
        break;
      case Opcode::kNotEqual:
        sp--;
        sp[-1] = Value::Boolean(!ValuesEqual(sp[-1], sp[0]));
        break;
      case Opcode::kLess:
        ARITHMETIC(Value::Boolean(a < b), Compare(Opcode::kLess));
        break;
      case Opcode::kLessEqual:
        ARITHMETIC(Value::Boolean(a <= b), Compare(Opcode::kLessEqual));
        break;
      case Opcode::kGreater:
        ARITHMETIC(Value::Boolean(a > b), Compare(Opcode::kGreater));
        break;
      case Opcode::kGreaterEqual:
        ARITHMETIC(Value::Boolean(a >= b), Compare(Opcode::kGreaterEqual));
        break;
      case Opcode::kNegate:
        if (!sp[-1].IsNumber()) {
          SLOW(Fail(std::string("cannot negate ") +
                    TypeNameWithArticle(sp[-1])));
        }
        sp[-1] = Value::Number(-sp[-1].AsNumber());
        break;
      case Opcode::kNot:
        sp[-1] = Value::Boolean(!sp[-1].IsTruthy());
        break;

      case Opcode::kJump:
        ip = code + OperandOf(instruction);
        break;
      case Opcode::kJumpBack:
        ip = code + OperandOf(instruction);
        SAVE();
        heap_.Poll();
        if (heap_.finalizers_ready()) heap_.RunFinalizers();
        break;
      case Opcode::kJumpIfFalse:
        if (!(--sp)->IsTruthy()) ip = code + OperandOf(instruction);
        break;
      case Opcode::kJumpIfFalseOrPop:
        if (!sp[-1].IsTruthy()) {
          ip = code + OperandOf(instruction);
        } else {
          sp--;
        }
        break;
      case Opcode::kJumpIfTrueOrPop:
        if (sp[-1].IsTruthy()) {
          ip = code + OperandOf(instruction);
        } else {
          sp--;
        }
        break;

      case Opcode::kIterate:
        SLOW(Iterate());
        break;
      case Opcode::kListNext: {
        Value* state = &base[OperandOf(instruction)];
        const List* list = TryAs<List>(state[0]);
        const auto position = static_cast<size_t>(state[1].AsNumber());
        if (position < list->count) {
          state[1] = Value::Number(static_cast<double>(position + 1));
          *sp++ = list->elements[position];
          ip++;
        }
        break;
      }
      case Opcode::kRangeNext: {
        Value* state = &base[OperandOf(instruction)];
        if (!state[0].IsNumber() || !state[1].IsNumber() ||
            !state[2].IsNumber() || state[2].AsNumber() == 0) {
          SLOW(FailRange());
        }
        const double number = state[0].AsNumber();
        const double limit = state[1].AsNumber();
        const double step = state[2].AsNumber();
        if (step > 0 ? number < limit : number > limit) {
          state[0] = Value::Number(number + step);
          *sp++ = Value::Number(number);
          ip++;
        }
        break;
      }

      case Opcode::kCall:
        SAVE();
        if (!BeginCall(OperandOf(instruction))) goto fail;
        RELOAD();
        break;
      case Opcode::kInvoke:
        SAVE();
        if (!Invoke(TryAs<String>(constants[FirstOf(instruction)]),
                    SecondOf(instruction))) {
          goto fail;
        }
        RELOAD();
        break;
      case Opcode::kReturn:
        *base = sp[-1];  // in place of the function
        top_ = base + 1;
        depth_--;
        if (depth_ == depth) return true;
        RELOAD();
        break;
      case Opcode::kClosure: {
        const Instruction* captures = ip;
        while (OpcodeOf(*ip) == Opcode::kCaptureLocal ||
               OpcodeOf(*ip) == Opcode::kCaptureCaptured) {
          ip++;
        }
        SLOW(MakeClosure(TryAs<Prototype>(constants[OperandOf(instruction)]),
                         captures, static_cast<size_t>(ip - captures)));
        break;
      }
      case Opcode::kCaptureLocal:
      case Opcode::kCaptureCaptured:
        break;  // operands of kClosure

      case Opcode::kMakeList:
        SLOW(MakeList(OperandOf(instruction)));
        break;
      case Opcode::kMakeMap:
        SLOW(MakeMap(OperandOf(instruction)));
        break;
      case Opcode::kLoadIndex: {
        const List* list = TryAs<List>(sp[-2]);
        if (list != nullptr && sp[-1].IsNumber()) {
          const double number = sp[-1].AsNumber();
          if (number >= 0 && number < list->count) {
            const auto index = static_cast<uint32_t>(number);
            if (index == number) {
              sp--;
              sp[-1] = list->elements[index];
              break;
            }
          }
        }
        SLOW(LoadIndex());
        break;
      }
      case Opcode::kStoreIndex:
        SLOW(StoreIndex());
        break;
      case Opcode::kLoadField:
        SLOW(LoadField(TryAs<String>(constants[OperandOf(instruction)])));
        break;
      case Opcode::kStoreField:
        SLOW(StoreField(TryAs<String>(constants[OperandOf(instruction)])));
        break;
    }
  }

fail:
  top_ = frames_[depth].base;  // drop the frames above, and what they called
  depth_ = depth;
  return false;
}

}  // namespace toylang
