#include "runtime/base/mutex.h"

#include <sched.h>

#include "runtime/base/fatal.h"
#include "runtime/base/spin.h"

namespace loam {
namespace {

// Bit r: this thread holds a lock of rank r. Only debug builds maintain it.
thread_local uint32_t held_ranks = 0;

}  // namespace

void NoteLockAcquired(LockRank rank) {
  const uint32_t bit = uint32_t{1} << static_cast<uint32_t>(rank);
  if (held_ranks >= bit) {
    FatalBug("lock of rank %u taken while holding ranks 0x%x",
             static_cast<unsigned>(rank), held_ranks);
  }
  held_ranks |= bit;
}

void NoteLockReleased(LockRank rank) {
  held_ranks &= ~(uint32_t{1} << static_cast<uint32_t>(rank));
}

void SpinLock::LockSlow() {
  constexpr int kSpinsBeforeYield = 64;
  int spins = 0;
  do {
    while (locked_.load(std::memory_order_relaxed)) {
      if (++spins < kSpinsBeforeYield) {
        PauseProcessor();
      } else {
        sched_yield();
      }
    }
  } while (locked_.exchange(true, std::memory_order_acquire));
}

}  // namespace loam
