// What an embedder holds to ask about an object without keeping it alive: a
// weak handle, or a watch. Lives outside the heap until everybody who got it
// has given it back, however long ago its object died.
//
//   address != 0   the object is alive, or its span has not been swept since it
//                  died: whoever wants to know makes sure that the span is
//                  swept, and reads again
//   address == 0   it is dead (a watch: the next cycle is over)

#ifndef LOAM_RUNTIME_SPECIALS_WEAK_HANDLE_H_
#define LOAM_RUNTIME_SPECIALS_WEAK_HANDLE_H_

#include <atomic>
#include <cstdint>

namespace loam {

enum class WatchState : uint8_t {
  kWaiting,    // no cycle has ended since it was set
  kReached,    // the next cycle found the object alive
  kUnreached,  // it did not
};

struct WeakHandle {
  // Cleared with release by the sweeper of the object's span, under the span's
  // specials lock; read with acquire.
  std::atomic<uintptr_t> address;
  // How many have it. Changed under the specials lock while the object is
  // alive, by atomic operations afterwards; whoever takes the last away, with
  // acquire and release, gives the record back.
  std::atomic<uint32_t> references;
  std::atomic<WatchState> watch_state;  // relaxed: before `address` is cleared
  bool is_long;                         // constant
  const void* owner;                    // the heap; NULL when given back
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_WEAK_HANDLE_H_
