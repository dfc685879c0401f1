// A value of the language, in one 64-bit word:
//
//   bits 63..48         meaning
//   0x0000              nil (0), false (1), true (2), absent (3)
//   0x0001              a reference: bits 47..0 are the address of an Object
//   0x0002 and above    a number: the bits of a double, plus 2^49
//
// All bits zero is nil, so memory fresh from the heap reads as nil; and the
// collector tells references by their high 16 bits alone (kEncoding in
// heap_bindings.cc). Only NaNs that no arithmetic produces would overflow the
// sum; they have all of the topmost 15 bits set.

#ifndef LOAM_EXAMPLES_TOYLANG_VALUE_H_
#define LOAM_EXAMPLES_TOYLANG_VALUE_H_

#include <bit>
#include <cstdint>

namespace toylang {

struct Object;

class Value {
 public:
  static constexpr int kTagShift = 48;
  static constexpr uint64_t kReferenceTag = 1;
  static constexpr uint64_t kAddressMask = (uint64_t{1} << kTagShift) - 1;
  static constexpr uint64_t kNumberOffset = uint64_t{2} << kTagShift;

  constexpr Value() = default;  // nil

  static constexpr Value FromBits(uint64_t bits) { return Value(bits); }
  static constexpr Value Nil() { return Value(); }
  static constexpr Value Boolean(bool b) { return Value(b ? kTrue : kFalse); }
  static constexpr Value Number(double number) {
    return Value(std::bit_cast<uint64_t>(number) + kNumberOffset);
  }
  // `object` may be null, which gives nil.
  static Value Reference(const void* object) {
    if (object == nullptr) return Nil();
    return Value(reinterpret_cast<uint64_t>(object) |
                 (kReferenceTag << kTagShift));
  }
  // No value of the language: a global not yet defined, a removed map key.
  static constexpr Value Absent() { return Value(kAbsent); }

  constexpr uint64_t bits() const { return bits_; }

  constexpr bool IsNil() const { return bits_ == kNil; }
  constexpr bool IsBoolean() const { return bits_ == kFalse || bits_ == kTrue; }
  constexpr bool IsNumber() const { return bits_ >= kNumberOffset; }
  constexpr bool IsReference() const {
    return (bits_ >> kTagShift) == kReferenceTag;
  }
  constexpr bool IsAbsent() const { return bits_ == kAbsent; }
  // nil and false count as false, everything else as true.
  constexpr bool IsTruthy() const { return bits_ > kFalse; }

  // The caller has checked what the value is.
  constexpr double AsNumber() const {
    return std::bit_cast<double>(bits_ - kNumberOffset);
  }
  Object* AsObject() const {
    return reinterpret_cast<Object*>(bits_ & kAddressMask);
  }

  // The same word: identity for objects, but not equality for all numbers
  // (NaN, -0) nor for strings; see ValuesEqual in object_types.h.
  constexpr bool IsSameAs(Value other) const { return bits_ == other.bits_; }

 private:
  static constexpr uint64_t kNil = 0;
  static constexpr uint64_t kFalse = 1;
  static constexpr uint64_t kTrue = 2;
  static constexpr uint64_t kAbsent = 3;

  explicit constexpr Value(uint64_t bits) : bits_(bits) {}

  uint64_t bits_ = kNil;
};

static_assert(sizeof(Value) == 8);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_VALUE_H_
