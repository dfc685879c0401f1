// Running totals of one heap. All are relaxed atomics: each is exact by itself,
// and nothing is inferred from two of them together.

#ifndef LOAM_RUNTIME_HEAP_HEAP_COUNTERS_H_
#define LOAM_RUNTIME_HEAP_HEAP_COUNTERS_H_

#include <atomic>
#include <cstdint>

namespace loam {

class Counter {
 public:
  void Add(uint64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  void Subtract(uint64_t n) { value_.fetch_sub(n, std::memory_order_relaxed); }
  void SubtractDownToZero(uint64_t n) {
    uint64_t value = Get();
    while (!value_.compare_exchange_weak(value, value > n ? value - n : 0,
                                         std::memory_order_relaxed)) {
    }
  }
  void Set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// How many cells of a span class, or how many bytes, have been allocated and
// freed. What was allocated is counted before it is freed, and freed is written
// with release and read first: nobody sees more freed than allocated.
class AllocationCounter {
 public:
  struct Counts {
    uint64_t allocated, freed;
  };

  // One thread at a time: under the lock of the central list.
  void Add(uint64_t allocated, uint64_t freed) {
    allocated_.store(allocated_.load(std::memory_order_relaxed) + allocated,
                     std::memory_order_relaxed);
    freed_.store(freed_.load(std::memory_order_relaxed) + freed,
                 std::memory_order_release);
  }
  // Any thread.
  Counts Get() const {
    Counts counts;
    counts.freed = freed_.load(std::memory_order_acquire);
    counts.allocated = allocated_.load(std::memory_order_relaxed);
    return counts;
  }

 private:
  std::atomic<uint64_t> allocated_{0};
  std::atomic<uint64_t> freed_{0};
};

struct HeapCounters {
  // Bytes marked by the last cycle, plus cells handed to mutators' caches since
  // (all of a span's free cells when it is cached; what is unused comes back
  // when it is released). Compared with the trigger.
  Counter live_estimate;
  // The live estimate right after the last cycle: what it marked.
  Counter marked_bytes;
  // Handed out before the last cycle; what was since is live_estimate -
  // marked_bytes.
  Counter allocated_bytes;
  Counter external_bytes;  // loam_external_adjust
  // Of objects that got a finalizer since the last cycle. Those that die are
  // there for one more cycle, so the trigger counts them twice.
  Counter finalizable_bytes;
  Counter cached_span_bytes;  // spans in mutators' caches

  // What is compared with the trigger; `record_bytes` are those of specials.
  uint64_t ChargedBytes(uint64_t record_bytes) const {
    return live_estimate.Get() + external_bytes.Get() +
           finalizable_bytes.Get() + record_bytes;
  }
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_HEAP_COUNTERS_H_
