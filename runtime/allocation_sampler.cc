#include "runtime/allocation_sampler.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/clock.h"
#include "runtime/call_stack.h"
#include "runtime/runtime.h"
#include "runtime/young_samples.h"

namespace loam {
namespace {

// Leaves room for what flushes give back.
constexpr uint64_t kMaxCountdown = uint64_t{1}
                                   << (SamplingRate::kGenerationShift - 1);

// splitmix64 (G. Steele and others, 2014).
uint64_t NextRandom(uint64_t* state) {
  uint64_t bits = (*state += 0x9e3779b97f4a7c15);
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

// How many objects in cells of so many bytes one that is sampled stands for.
double ObjectsPerSample(size_t cell_bytes, uint64_t rate) {
  if (rate == 1) return 1;  // Each is sampled; see DrawCountdown.
  return -1 / std::expm1(-static_cast<double>(cell_bytes) /
                         static_cast<double>(rate));
}

// What a sampled object is, and its type if that has a name that says enough.
ProfiledObject WhatIs(const TypeSet& types, const Span& span, uintptr_t cell,
                      const Type** type) {
  const Type* found = span.TypeOf(cell);
  *type = nullptr;
  if (found == types.internal_type(TypeSet::kCellBitmap) ||
      span.scan == ScanKind::kBitmap) {
    return ProfiledObject::kBitmap;
  }
  if (found != nullptr &&
      found == types.internal_type(TypeSet::kAmbiguousWords)) {
    return ProfiledObject::kAmbiguous;
  }
  if (found != nullptr) {
    *type = found;
    return ProfiledObject::kTyped;
  }
  return span.scan == ScanKind::kValues ? ProfiledObject::kSlots
                                        : ProfiledObject::kBytes;
}

}  // namespace

void Exponentials::Refill() {
  if (state_ == 0)
    state_ = NowNanoseconds() ^ reinterpret_cast<uintptr_t>(this);
  constexpr double kScale = 1.0 / (uint64_t{1} << 53);
  for (double& number : numbers_) {
    // In (0, 1].
    const double uniform =
        static_cast<double>((NextRandom(&state_) >> 11) + 1) * kScale;
    number = -std::log(uniform);
  }
  left_ = kBatch;
}

namespace {

// A new countdown, for the word of a SamplingRate.
SamplingCountdown DrawCountdown(Mutator* m, uint64_t rate) {
  const uint64_t mean = SamplingRate::RateOf(rate);
  uint64_t bytes = 1;
  // Of 1 byte means all of them.
  if (mean > 1) {
    bytes += static_cast<uint64_t>(
        std::min(m->exponentials.Next() * static_cast<double>(mean),
                 static_cast<double>(kMaxCountdown - 1)));
  }
  return (rate & ~LowBits(SamplingRate::kGenerationShift)) | bytes;
}

// Takes as many of `count` cells as lie before one with a sample point.
size_t CountDown(SamplingCountdown* countdown, size_t cell_bytes,
                 size_t count) {
  const uint64_t bytes = SamplingRate::RateOf(*countdown);
  if (bytes <= count * cell_bytes) count = (bytes - 1) / cell_bytes;
  *countdown -= count * cell_bytes;
  return count;
}

}  // namespace

size_t CellsBeforeSampleSlow(Mutator* m, uint64_t rate,
                             SamplingCountdown* countdown, const CellRun& cells,
                             bool take) {
  if ((*countdown ^ rate) >> SamplingRate::kGenerationShift != 0) {
    *countdown = DrawCountdown(m, rate);
  }
  const size_t before = CountDown(countdown, cells.cell_bytes, cells.count);
  if (before > 0 || !take) return before;
  m->sampled_span = cells.span;
  m->sampled_cell = cells.first;
  m->sampled_at_rate = SamplingRate::RateOf(rate);
  *countdown = DrawCountdown(m, rate);
  return 1 + CountDown(countdown, cells.cell_bytes, cells.count - 1);
}

void SampleLarge(Mutator* m, Span* span) {
  const uint64_t rate = m->runtime->sampling_rate()->word();
  if (rate == 0) return;
  (void)CellsBeforeSample(m, rate, &m->large_sampling,
                          {span, span->base, span->cell_bytes, 1},
                          /*take=*/true);
}

// Each call of this function has the same place in the program, so its stack
// pointer, and what is allocated, stand for a call stack that has been seen.
__attribute__((noinline)) void RecordSample(Mutator* m) {
  Runtime* runtime = m->runtime;
  const uintptr_t cell = m->sampled_cell;
  Span* span = m->sampled_span;
  m->sampled_span = nullptr;
  ProfiledCell profiled = {};
  profiled.cell_bytes = span->cell_bytes;
  profiled.object = WhatIs(*runtime->types(), *span, cell, &profiled.type);

  CallStack stack;
  const Callbacks& callbacks = runtime->options().callbacks;
  if (callbacks.profile_frames != nullptr) {
    callbacks.profile_frames(m, &stack);
  }
  KnownCalls::Stack* known = nullptr;
  if (stack.embedder_frames == 0 || runtime->options().profile_native_frames) {
    known = CaptureNativeFrames(m, profiled, &stack);
  }

  double objects;
  if (known != nullptr && known->sampled_at_rate == m->sampled_at_rate) {
    objects = known->objects;
  } else {
    objects = ObjectsPerSample(span->cell_bytes, m->sampled_at_rate);
    if (known != nullptr) {
      known->sampled_at_rate = m->sampled_at_rate;
      known->objects = objects;
    }
  }
  HeapProfile* profile = runtime->specials()->heap_profile();
  ProfileBucket* bucket;
  if (known != nullptr && known->bucket != nullptr &&
      stack.embedder_frames == 0) {
    bucket = known->bucket;
  } else {
    bucket = profile->BucketOf(stack, profiled);
    if (known != nullptr && stack.embedder_frames == 0) known->bucket = bucket;
  }
  if (bucket == nullptr) return profile->CountLost();
  AddYoungSample(m, {span, cell, bucket, objects});
}

}  // namespace loam
