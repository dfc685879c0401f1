// The native call stack of a mutator's thread, for the heap profile: by LLVM's
// libunwind, and from memory where the same calls have been seen before.
//
// To unwind a frame takes the better part of a microsecond: its table entry is
// looked up and interpreted. But all it says in the end is where the caller's
// frame begins, and a call from the same place with the stack at the same
// height has the same answer, unless the function's frame varies in size
// (alloca). So a mutator remembers frames by return address and stack pointer.
// The caller's return address lies at the end of the frame and is read anew,
// and taken for good only if that caller, at that height, is known as well; so
// is what follows, down to where a stack ended. When anything is unknown the
// whole stack is unwound.
//
// That goes wrong only for a frame that has changed its size and finds at the
// old place what an earlier call has left there: then frames are named that
// were there a moment before.

#ifndef LOAM_RUNTIME_CALL_STACK_H_
#define LOAM_RUNTIME_CALL_STACK_H_

#include <cstddef>
#include <cstdint>

#include "runtime/specials/heap_profile.h"

namespace loam {

struct Mutator;

// Frames that have been unwound; lies in the mutator's region. Owned by the
// mutator's thread.
struct KnownFrames {
  struct Frame {
    uintptr_t address;        // the return address into it; 0: none
    uintptr_t stack_pointer;  // after that return
    uintptr_t caller_stack_pointer;  // 0: it is the last
  };
  // A frame is at its place or the one beside it.
  static constexpr size_t kFrames = 512;
  Frame frames[kFrames];
};

// Adds the frames of the calling thread, which uses `m`, to those of the
// embedder: from the caller of this function on, up to kMaxNativeFrames.
// Neither allocates nor takes a lock of the heap's; the dynamic linker's, which
// guards the list of loaded objects, is taken for a moment.
void CaptureNativeFrames(Mutator* m, CallStack* stack);

}  // namespace loam

#endif  // LOAM_RUNTIME_CALL_STACK_H_
