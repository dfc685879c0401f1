// How often pauses were how long. Buckets are a quarter of a power of two wide:
//
//   0 to 3    250 ns each: below 1 us
//   4 + i     from (4 + i % 4) * 2^(i / 4) * 250 ns on; the last one takes
//             whatever is longer, from 0.9 s on
//
// The API has the same numbers (loam_pause_bucket_ns).

#ifndef LOAM_RUNTIME_GC_PAUSE_HISTOGRAM_H_
#define LOAM_RUNTIME_GC_PAUSE_HISTOGRAM_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace loam {

struct PauseHistogram {
  static constexpr size_t kBuckets = 84;
  static constexpr uint64_t kUnitNs = 250;

  // Of the bucket, the shortest pause.
  static constexpr uint64_t LowerBound(size_t bucket) {
    if (bucket < 4) return bucket * kUnitNs;
    return ((4 + bucket % 4) << (bucket / 4 - 1)) * kUnitNs;
  }
  static constexpr size_t BucketOf(uint64_t ns) {
    const uint64_t units = ns / kUnitNs;
    if (units < 4) return units;
    const size_t shift = static_cast<size_t>(std::bit_width(units)) - 3;
    const size_t bucket = 4 + shift * 4 + (units >> shift) % 4;
    return std::min(bucket, kBuckets - 1);
  }

  void Add(uint64_t ns) { counts[BucketOf(ns)]++; }

  uint64_t counts[kBuckets] = {};
};

static_assert(PauseHistogram::BucketOf(0) == 0);
static_assert(PauseHistogram::LowerBound(PauseHistogram::BucketOf(1000)) ==
              1000);
static_assert(PauseHistogram::LowerBound(PauseHistogram::kBuckets - 1) >
              900'000'000);

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_PAUSE_HISTOGRAM_H_
