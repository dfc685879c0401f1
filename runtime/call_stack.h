// The native call stack of a mutator's thread, for the heap profile: by LLVM's
// libunwind, and from memory where the same calls have been seen before.
//
// To unwind a frame takes the better part of a microsecond: its table entry is
// looked up and interpreted. But all it says in the end is where the caller's
// frame begins, and a call from the same place with the stack at the same
// height has the same answer, unless the function's frame varies in size
// (alloca, or local variables that are aligned to more than the stack). So a
// mutator remembers
//
//   stacks   as a whole, by their innermost frame and what was allocated. One
//            is taken for the present stack if each of its return addresses is
//            still where it was
//   frames   by return address and stack pointer. The caller's return address
//            lies at the end of the frame, and is taken for good only if that
//            caller, at that height, is known as well; so is what follows, down
//            to where a stack has ended: recursive functions have many stacks
//            of a few frames
//
// When both fail the whole stack is unwound. They go wrong only for a frame
// that has changed its size and finds at the old place what an earlier call has
// left there: then calls are named that were there a moment before.
//
// The old place of such a frame is read, so it must lie in the same stack as
// then. Everything is forgotten when the mutator is on another thread, or when
// a fiber has been destroyed since, whose stack may be gone, and another in its
// place. (A thread whose pthread_t is that of an earlier one has its stack in
// the same place.) What the embedder runs on stacks that are no thread's and
// no fiber's, loam does not know.

#ifndef LOAM_RUNTIME_CALL_STACK_H_
#define LOAM_RUNTIME_CALL_STACK_H_

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "runtime/specials/heap_profile.h"

namespace loam {

struct Mutator;

// Lies in the mutator's region. Owned by the mutator's thread. Zero: nothing is
// remembered.
struct KnownCalls {
  struct Frame {
    uintptr_t address;        // the return address into it
    uintptr_t stack_pointer;  // after that return
  };
  struct Stack {
    ProfiledCell allocated;
    ProfileBucket* bucket;  // of these frames alone; NULL: not known
    // At this rate a sample stands for so many objects; 0: not known.
    uint64_t sampled_at_rate;
    double objects;
    size_t count;  // 0: there is none
    Frame frames[CallStack::kMaxNativeFrames];
  };
  struct Callee {
    Frame frame;                     // address 0: there is none
    uintptr_t caller_stack_pointer;  // 0: it is the last
  };

  static constexpr size_t kStacks = 8;
  static constexpr size_t kSets = 128;
  static constexpr size_t kCalleesPerSet = 4;

  // Of which stacks: this thread's, when so many fibers had been destroyed.
  pthread_t thread;
  uint64_t fibers_destroyed;
  Stack stacks[kStacks];
  Callee callees[kSets][kCalleesPerSet];
};

// Adds the frames of the calling thread, which uses `m`, to those of the
// embedder: from the caller of this function on, up to kMaxNativeFrames. If
// what is returned has a bucket, and there are no frames of the embedder's, it
// is that of this stack, whose frames need not be there. May return NULL.
//
// Neither allocates nor takes a lock of the heap's, but for the mutator's first
// sample, for whose memory the ledger is charged. The dynamic linker's lock,
// which guards the list of loaded objects, is taken for a moment.
KnownCalls::Stack* CaptureNativeFrames(Mutator* m,
                                       const ProfiledCell& allocated,
                                       CallStack* stack);

}  // namespace loam

#endif  // LOAM_RUNTIME_CALL_STACK_H_
