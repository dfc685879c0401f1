// Arithmetic on sweep generations. The table of relations is at Span::sweepgen.

#ifndef LOAM_RUNTIME_SWEEP_SWEEP_GENERATION_H_
#define LOAM_RUNTIME_SWEEP_SWEEP_GENERATION_H_

#include <cstdint>

namespace loam {

// Where a span stands, relative to the heap's generation.
enum class SweepState {
  kNeedsSweeping,  // h - 2
  kBeingSwept,     // h - 1
  kSwept,          // h
  kCachedStale,    // h + 1: cached since before the current cycle
  kCached,         // h + 3
  kInvalid,
};

// The generation of a new heap; far enough from 0 that h - 2 never wraps to a
// value that a zeroed span record could have.
constexpr uint32_t kFirstGeneration = 4;
constexpr uint32_t kGenerationStep = 2;

constexpr uint32_t NeedsSweeping(uint32_t h) { return h - 2; }
constexpr uint32_t BeingSwept(uint32_t h) { return h - 1; }
constexpr uint32_t Swept(uint32_t h) { return h; }
constexpr uint32_t CachedStale(uint32_t h) { return h + 1; }
constexpr uint32_t Cached(uint32_t h) { return h + 3; }

constexpr SweepState SweepStateOf(uint32_t span, uint32_t h) {
  switch (span - NeedsSweeping(h)) {
    case 0:
      return SweepState::kNeedsSweeping;
    case 1:
      return SweepState::kBeingSwept;
    case 2:
      return SweepState::kSwept;
    case 3:
      return SweepState::kCachedStale;
    case 5:
      return SweepState::kCached;
    default:
      return SweepState::kInvalid;
  }
}

// What was cached in one generation is stale in the next, and what was swept
// needs sweeping: the step from h to h + 2 does both without touching a span.
static_assert(SweepStateOf(Cached(10), 12) == SweepState::kCachedStale);
static_assert(SweepStateOf(Swept(10), 12) == SweepState::kNeedsSweeping);
// That holds where the counter wraps round, too; and a record that was never
// used cannot be acquired by a sweeper of a new heap.
static_assert(SweepStateOf(Cached(0u - 2), 0) == SweepState::kCachedStale);
static_assert(SweepStateOf(Swept(0u - 2), 0) == SweepState::kNeedsSweeping);
static_assert(SweepStateOf(0, kFirstGeneration) == SweepState::kInvalid);
static_assert(kFirstGeneration % kGenerationStep == 0);

}  // namespace loam

#endif  // LOAM_RUNTIME_SWEEP_SWEEP_GENERATION_H_
