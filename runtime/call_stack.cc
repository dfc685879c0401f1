#include "runtime/call_stack.h"

#include <libunwind.h>

#include "runtime/mutator.h"

// Return addresses are read from the stack, where sanitizers do not expect it.
#define LOAM_READS_STACK \
  __attribute__((no_sanitize("address", "thread", "undefined")))

namespace loam {
namespace {

#if defined(__x86_64__)
constexpr bool kRemembersFrames = true;
#else
// Where a return address lies in a frame is another question there.
constexpr bool kRemembersFrames = false;
#endif

LOAM_READS_STACK uintptr_t ReturnAddressBelow(uintptr_t stack_pointer) {
  return reinterpret_cast<const uintptr_t*>(stack_pointer)[-1];
}

size_t PlaceOf(uintptr_t address, uintptr_t stack_pointer) {
  const uint64_t hash = (address ^ (stack_pointer << 20)) * 0x9e3779b97f4a7c15;
  return hash >> (64 - std::bit_width(KnownFrames::kFrames - 1));
}

KnownFrames::Frame* Find(KnownFrames* known, uintptr_t address,
                         uintptr_t stack_pointer) {
  const size_t place = PlaceOf(address, stack_pointer);
  for (const size_t i : {place, place ^ 1}) {
    KnownFrames::Frame* frame = &known->frames[i];
    if (frame->address == address && frame->stack_pointer == stack_pointer) {
      return frame;
    }
  }
  return nullptr;
}

void Remember(KnownFrames* known, const KnownFrames::Frame& frame) {
  KnownFrames::Frame* found =
      Find(known, frame.address, frame.stack_pointer);
  if (found == nullptr) {
    const size_t place = PlaceOf(frame.address, frame.stack_pointer);
    // What was put here first moves over: the older of the two is forgotten.
    known->frames[place ^ 1] = known->frames[place];
    found = &known->frames[place];
  }
  *found = frame;
}

// False, and nothing added that counts, if a frame is unknown.
bool CaptureKnown(KnownFrames* known, uintptr_t address,
                  uintptr_t stack_pointer, uintptr_t* frames, size_t* count) {
  for (size_t i = 0;;) {
    const KnownFrames::Frame* frame = Find(known, address, stack_pointer);
    if (frame == nullptr) return false;
    frames[i++] = address;
    if (frame->caller_stack_pointer == 0 || i == CallStack::kMaxNativeFrames) {
      *count = i;
      return true;
    }
    stack_pointer = frame->caller_stack_pointer;
    address = ReturnAddressBelow(stack_pointer);
  }
}

// The same by libunwind, from the frame on that returns to `address`.
size_t Unwind(KnownFrames* known, uintptr_t address, uintptr_t stack_pointer,
              uintptr_t* frames) {
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
  for (int i = 0; read(UNW_REG_IP) != address; i++) {
    if (i == kOwnFrames || unw_step(&cursor) <= 0) return 0;
  }
  size_t count = 0;
  for (;;) {
    KnownFrames::Frame frame = {address, stack_pointer, 0};
    frames[count++] = address;
    // Some stacks end with a frame that returns to nowhere.
    const bool is_last = unw_step(&cursor) <= 0 || read(UNW_REG_IP) == 0;
    if (!is_last) {
      address = read(UNW_REG_IP);
      stack_pointer = read(UNW_REG_SP);
      frame.caller_stack_pointer = stack_pointer;
    }
    if (known != nullptr &&
        (is_last || ReturnAddressBelow(stack_pointer) == address)) {
      Remember(known, frame);
    }
    if (is_last || count == CallStack::kMaxNativeFrames) return count;
  }
}

KnownFrames* KnownFramesOf(Mutator* m) {
  if (!kRemembersFrames ||
      !m->region.EnsureCommitted(kKnownFramesOffset, sizeof(KnownFrames))) {
    return nullptr;
  }
  return reinterpret_cast<KnownFrames*>(m->region.base() + kKnownFramesOffset);
}

}  // namespace

__attribute__((noinline)) void CaptureNativeFrames(Mutator* m,
                                                   CallStack* stack) {
  uintptr_t* frames = stack->words + 2 * stack->embedder_frames;
  const auto address =
      reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  const auto stack_pointer =
      reinterpret_cast<uintptr_t>(__builtin_dwarf_cfa());
  KnownFrames* known = KnownFramesOf(m);
  size_t count;
  if (known == nullptr ||
      !CaptureKnown(known, address, stack_pointer, frames, &count)) {
    count = Unwind(known, address, stack_pointer, frames);
  }
  stack->native_frames = static_cast<uint16_t>(count);
}

}  // namespace loam
