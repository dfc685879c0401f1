#include "runtime/call_stack.h"

#include <libunwind.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/mutator.h"
#include "runtime/runtime.h"

// Return addresses are read from the stack, where sanitizers do not expect it.
#define LOAM_READS_STACK \
  __attribute__((no_sanitize("address", "thread", "undefined")))

// Out of the way of what is done for each sample: at half a megabyte from one
// to the next, most of its time is waiting for its instructions.
#define LOAM_COLD __attribute__((cold, noinline))

namespace loam {
namespace {

using CallFrame = KnownCalls::Frame;
using Callee = KnownCalls::Callee;

#if defined(__x86_64__)
constexpr bool kRemembersCalls = true;
#else
// Where a return address lies in a frame is another question there.
constexpr bool kRemembersCalls = false;
#endif

LOAM_READS_STACK inline uintptr_t ReturnAddressBelow(uintptr_t stack_pointer) {
  return reinterpret_cast<const uintptr_t*>(stack_pointer)[-1];
}

uint64_t Mix(uint64_t first, uint64_t second) {
  uint64_t hash = (first ^ second << 28) * 0x9e3779b97f4a7c15;
  return (hash ^ hash >> 32) * 0x9e3779b97f4a7c15;
}

// Where a stack is remembered that begins with this frame.
KnownCalls::Stack* PlaceOf(KnownCalls* known, const CallFrame& first,
                           const ProfiledCell& allocated) {
  const uint64_t hash =
      Mix(first.stack_pointer,
          reinterpret_cast<uintptr_t>(allocated.type) + allocated.cell_bytes);
  return &known->stacks[hash >> (64 - std::bit_width(KnownCalls::kStacks - 1))];
}

// Whether the thread's stack is the one remembered.
LOAM_READS_STACK bool IsPresent(const KnownCalls::Stack& stack,
                                const CallFrame& first,
                                const ProfiledCell& allocated) {
  if (stack.count == 0 || stack.frames[0].address != first.address ||
      stack.frames[0].stack_pointer != first.stack_pointer ||
      !(stack.allocated == allocated)) {
    return false;
  }
  for (size_t i = 1; i < stack.count; i++) {
    const CallFrame& frame = stack.frames[i];
    if (ReturnAddressBelow(frame.stack_pointer) != frame.address) return false;
  }
  return true;
}

Callee* SetOf(KnownCalls* known, const CallFrame& frame) {
  const uint64_t hash = Mix(frame.address, frame.stack_pointer);
  return known->callees[hash >> (64 - std::bit_width(KnownCalls::kSets - 1))];
}

Callee* Find(KnownCalls* known, const CallFrame& frame) {
  Callee* set = SetOf(known, frame);
  for (size_t i = 0; i < KnownCalls::kCalleesPerSet; i++) {
    if (set[i].frame.address == frame.address &&
        set[i].frame.stack_pointer == frame.stack_pointer) {
      return &set[i];
    }
  }
  return nullptr;
}

void Remember(KnownCalls* known, const Callee& callee) {
  Callee* found = Find(known, callee.frame);
  if (found == nullptr) {
    // The oldest of the set is forgotten.
    found = SetOf(known, callee.frame);
    std::copy_backward(found, found + KnownCalls::kCalleesPerSet - 1,
                       found + KnownCalls::kCalleesPerSet);
  }
  *found = callee;
}

// The frames of the present stack; 0 if one is unknown.
LOAM_COLD size_t FollowKnown(KnownCalls* known, CallFrame frame,
                             CallFrame* frames) {
  for (size_t count = 0;;) {
    const Callee* callee = Find(known, frame);
    if (callee == nullptr) return 0;
    frames[count++] = frame;
    if (callee->caller_stack_pointer == 0 ||
        count == CallStack::kMaxNativeFrames) {
      return count;
    }
    frame.stack_pointer = callee->caller_stack_pointer;
    frame.address = ReturnAddressBelow(frame.stack_pointer);
  }
}

// The same by libunwind, from a frame on that is that of a caller's caller.
// What is odd about them is not remembered, and `is_plain` false.
LOAM_COLD size_t Unwind(KnownCalls* known, const CallFrame& first,
                        CallFrame* frames, bool* is_plain) {
  *is_plain = known != nullptr;
  unw_context_t context;
  unw_cursor_t cursor;
  if (unw_getcontext(&context) != UNW_ESUCCESS ||
      unw_init_local(&cursor, &context) != UNW_ESUCCESS) {
    return 0;
  }
  const auto read = [&](int name) {
    unw_word_t word = 0;
    unw_get_reg(&cursor, name, &word);
    return static_cast<uintptr_t>(word);
  };
  // This function, and CaptureNativeFrames unless they are one.
  constexpr int kOwnFrames = 4;
  for (int i = 0; read(UNW_REG_IP) != first.address; i++) {
    if (i == kOwnFrames || unw_step(&cursor) <= 0) return 0;
  }
  CallFrame frame = first;
  for (size_t count = 0;;) {
    frames[count++] = frame;
    Callee callee = {frame, 0};
    // Some stacks end with a frame that returns to nowhere.
    const bool is_last = unw_step(&cursor) <= 0 || read(UNW_REG_IP) == 0;
    if (!is_last) {
      frame = {read(UNW_REG_IP), read(UNW_REG_SP)};
      callee.caller_stack_pointer = frame.stack_pointer;
      // In the frame of a signal handler, say, it lies elsewhere.
      if (known != nullptr &&
          ReturnAddressBelow(frame.stack_pointer) != frame.address) {
        *is_plain = false;
      }
    }
    if (*is_plain) Remember(known, callee);
    if (is_last || count == CallStack::kMaxNativeFrames) return count;
  }
}

void ForgetIfStacksAreGone(const Mutator* m, KnownCalls* known) {
  const pthread_t thread = pthread_self();
  const uint64_t fibers_destroyed = m->runtime->roots()->fibers_destroyed();
  if (known->thread == thread && known->fibers_destroyed == fibers_destroyed) {
    return;
  }
  memset(known, 0, sizeof(*known));
  known->thread = thread;
  known->fibers_destroyed = fibers_destroyed;
}

KnownCalls* KnownCallsOf(Mutator* m) {
  if (m->known_calls == nullptr && kRemembersCalls &&
      m->region.EnsureCommitted(kKnownCallsOffset, sizeof(KnownCalls))) {
    m->known_calls =
        reinterpret_cast<KnownCalls*>(m->region.base() + kKnownCallsOffset);
  }
  if (m->known_calls != nullptr) ForgetIfStacksAreGone(m, m->known_calls);
  return m->known_calls;
}

void AddFrames(const CallFrame* frames, size_t count, CallStack* stack) {
  uintptr_t* words = stack->words + 2 * size_t{stack->embedder_frames};
  for (size_t i = 0; i < count; i++) words[i] = frames[i].address;
  stack->native_frames = static_cast<uint16_t>(count);
}

}  // namespace

__attribute__((noinline)) KnownCalls::Stack* CaptureNativeFrames(
    Mutator* m, const ProfiledCell& allocated, CallStack* stack) {
  const CallFrame first = {
      reinterpret_cast<uintptr_t>(__builtin_return_address(0)),
      reinterpret_cast<uintptr_t>(__builtin_dwarf_cfa())};
  KnownCalls* known = KnownCallsOf(m);
  if (known == nullptr) {
    CallFrame frames[CallStack::kMaxNativeFrames];
    bool is_plain;
    AddFrames(frames, Unwind(nullptr, first, frames, &is_plain), stack);
    return nullptr;
  }
  KnownCalls::Stack* place = PlaceOf(known, first, allocated);
  if (IsPresent(*place, first, allocated)) {
    if (place->bucket == nullptr || stack->embedder_frames != 0) {
      AddFrames(place->frames, place->count, stack);
    }
    return place;
  }
  bool is_plain = true;
  size_t count = FollowKnown(known, first, place->frames);
  if (count == 0) count = Unwind(known, first, place->frames, &is_plain);
  AddFrames(place->frames, count, stack);
  place->allocated = allocated;
  place->bucket = nullptr;
  place->sampled_at_rate = 0;
  place->count = is_plain ? count : 0;
  return is_plain ? place : nullptr;
}

}  // namespace loam
