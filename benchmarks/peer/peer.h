// The heap that a workload runs on, chosen when it is compiled: each workload
// is one source, built once for each peer.
//
//   PEER_LOAM      loam
//   PEER_BOEHM     Boehm's collector, conservative, stacks included
//   PEER_MIMALLOC  malloc and free; workloads say what they free
//
// The adapters are thin: on Boehm's collector and malloc a member is a plain
// pointer and a local costs nothing, since that is how those are used. What
// they have in common:
//
//   kName, kCollects       of the peer; whether it finds garbage by itself
//   Heap(settings)         one to a process
//     statistics()         so far; no other thread may be running
//     ReleaseMemory()      gives what is free back to the system
//   Thread(heap)           the calling thread may use the heap; `poll()` often
//                          and `Blocked` around waiting, for peers that stop
//                          threads only when these agree
//   Type<T>(heap)          made once; New(thread) and, for trailing arrays,
//                          NewArray(thread, count) give zeroed objects
//   NewBytes(thread, n)    n bytes without references, not zeroed
//   NewSlots(thread, n)    n words that are all references
//   Free(object)           does nothing where garbage is found
//   Member<T>              a reference in an object: read like T*, written by
//                          Set(thread, object, target)
//   Local<T>               a root for a block, used like T*
//   Elements<T>(object)    the array behind an object
//   SetFinalizer, SetCleanup, RunFinalizers
//   PEER_LAYOUT(T, members...)           at global scope: the references of T
//   PEER_ARRAY_LAYOUT(T, E, members...)  elements E follow: Member or number
//
// Out of memory ends the program with status 3.

#ifndef LOAM_BENCHMARKS_PEER_PEER_H_
#define LOAM_BENCHMARKS_PEER_PEER_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace peer {

struct Settings {
  // The most that objects may occupy, collected when full; 0: the peer decides
  // by its own default rule.
  size_t fixed_heap_bytes = 0;
  // With the peer's own rule: no collection below this.
  size_t minimum_heap_bytes = 4 << 20;
  // Threads that mark, where the peer lets one choose.
  int markers = 1;
};

struct Statistics {
  uint64_t collections = 0;
  uint64_t longest_pause_ns = 0;
  uint64_t total_pause_ns = 0;
  uint64_t heap_bytes = 0;  // address space in use for objects
};

[[noreturn]] inline void Fail(const char* what, const char* why = "") {
  std::fprintf(stderr, "%s%s%s\n", what, *why != '\0' ? ": " : "", why);
  std::exit(1);
}

[[noreturn]] inline void OutOfMemory() {
  std::fputs("out of memory\n", stderr);
  // Not exit, which would run destructors of heaps in use.
  std::fflush(nullptr);
  std::_Exit(3);
}

}  // namespace peer

#if defined(PEER_LOAM)
#include "benchmarks/peer/peer_loam.h"
#elif defined(PEER_BOEHM)
#include "benchmarks/peer/peer_boehm.h"
#elif defined(PEER_MIMALLOC)
#include "benchmarks/peer/peer_mimalloc.h"
#else
#error "one of PEER_LOAM, PEER_BOEHM, PEER_MIMALLOC"
#endif

#endif  // LOAM_BENCHMARKS_PEER_PEER_H_
