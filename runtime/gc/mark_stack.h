// The marker's work stack: words, off-heap, grown as needed while marking and
// given back afterwards.
//
// Growing may fail; the marker then flags spans for rescanning instead of
// pushing, so marking as a whole cannot.

#ifndef LOAM_RUNTIME_GC_MARK_STACK_H_
#define LOAM_RUNTIME_GC_MARK_STACK_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/memory_ledger.h"

namespace loam {

class MarkStack {
 public:
  // `max_bytes` bounds the stack, for tests; a multiple of the OS page.
  MarkStack(MemoryLedger* ledger, size_t max_bytes)
      : ledger_(ledger), max_bytes_(max_bytes) {}
  ~MarkStack();
  MarkStack(const MarkStack&) = delete;
  MarkStack& operator=(const MarkStack&) = delete;

  // False if there is no room.
  bool Push(uintptr_t word) {
    if (__builtin_expect(top_ == limit_, 0) && !Grow()) return false;
    *top_++ = word;
    return true;
  }
  bool empty() const { return top_ == bottom_; }
  size_t size() const { return static_cast<size_t>(top_ - bottom_); }
  uintptr_t Pop() { return *--top_; }
  // Removes `count` of the words pushed first and returns where they are: valid
  // until the next push, before which ReturnOldest undoes it.
  const uintptr_t* TakeOldest(size_t count) {
    const uintptr_t* oldest = bottom_;
    bottom_ += count;
    return oldest;
  }
  void ReturnOldest(size_t count) { bottom_ -= count; }
  // The stack is empty: begins again where its memory does.
  void Rewind() { bottom_ = top_ = base_; }

  // For the marker's inner loop, which keeps `top` in a register: words lie in
  // [bottom(), top()), and may be pushed below limit() without asking.
  uintptr_t* bottom() const { return bottom_; }
  uintptr_t* top() const { return top_; }
  uintptr_t* limit() const { return limit_; }
  void set_top(uintptr_t* top) { top_ = top; }

  // Gives the memory back; the stack is empty.
  void Trim();

 private:
  bool Grow();

  MemoryLedger* const ledger_;
  const size_t max_bytes_;
  uintptr_t* base_ = nullptr;    // of address space for max_bytes_
  uintptr_t* bottom_ = nullptr;  // above base_ after TakeOldest
  uintptr_t* top_ = nullptr;
  uintptr_t* limit_ = nullptr;  // what lies before it is committed
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_MARK_STACK_H_
