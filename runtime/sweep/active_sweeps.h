// Who is sweeping, whether anything is left to sweep, and how much has been
// swept. One word, since every refill of a cursor that sweeps enters, leaves
// and counts:
//
//   bit 63        drained: no list has an unswept span, and nobody enters
//   bits 48..62   threads in an ActiveSweep
//   bits 0..47    pages swept since the heap was created (2^61 bytes)
//
// Drained with no thread inside means that every span is swept. Threads leave
// with release and whoever waits for that acquires, so it sees what they have
// swept.

#ifndef LOAM_RUNTIME_SWEEP_ACTIVE_SWEEPS_H_
#define LOAM_RUNTIME_SWEEP_ACTIVE_SWEEPS_H_

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace loam {

class ActiveSweeps {
 public:
  // False if sweeping is drained.
  bool TryEnter() {
    uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      if ((word & kDrained) != 0) return false;
      if ((word & kThreads) == kThreads) {
        // Nobody stays for long.
        sched_yield();
        word = word_.load(std::memory_order_relaxed);
        continue;
      }
      // Acquire pairs with Begin.
      if (word_.compare_exchange_weak(word, word + kOneThread,
                                      std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return true;
      }
    }
  }
  // Has swept so many pages that were not counted yet.
  void Leave(uint64_t pages) {
    word_.fetch_add(pages - kOneThread, std::memory_order_release);
  }
  void CountPages(uint64_t pages) {
    word_.fetch_add(pages, std::memory_order_relaxed);
  }

  // The lists are to be swept: nobody is inside.
  void Begin() { word_.fetch_and(~kDrained, std::memory_order_release); }
  // No list has any more, says somebody who is inside.
  void SetDrained() { word_.fetch_or(kDrained, std::memory_order_relaxed); }

  // Every span is swept.
  bool is_done() const {
    return (word_.load(std::memory_order_acquire) & ~kPages) == kDrained;
  }
  // A hint.
  bool is_drained() const {
    return (word_.load(std::memory_order_relaxed) & kDrained) != 0;
  }
  uint64_t swept_pages() const {
    return word_.load(std::memory_order_relaxed) & kPages;
  }

 private:
  static constexpr uint64_t kDrained = uint64_t{1} << 63;
  static constexpr uint64_t kOneThread = uint64_t{1} << 48;
  static constexpr uint64_t kThreads = kDrained - kOneThread;
  static constexpr uint64_t kPages = kOneThread - 1;

  std::atomic<uint64_t> word_{kDrained};
};

// In scope while a thread may hold an unswept span that is on no list. False if
// sweeping is drained: every span is swept, or another thread is at it.
class ActiveSweep {
 public:
  explicit ActiveSweep(ActiveSweeps* sweeps)
      : sweeps_(sweeps->TryEnter() ? sweeps : nullptr) {}
  ~ActiveSweep() {
    if (sweeps_ != nullptr) sweeps_->Leave(swept_pages_);
  }
  ActiveSweep(const ActiveSweep&) = delete;
  ActiveSweep& operator=(const ActiveSweep&) = delete;
  explicit operator bool() const { return sweeps_ != nullptr; }

  // Counted on leaving.
  void AddSwept(uint64_t pages) { swept_pages_ += pages; }

 private:
  ActiveSweeps* const sweeps_;
  uint64_t swept_pages_ = 0;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_ACTIVE_SWEEPS_H_
