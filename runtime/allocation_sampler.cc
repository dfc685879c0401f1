#include "runtime/allocation_sampler.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/clock.h"
#include "runtime/call_stack.h"
#include "runtime/runtime.h"

namespace loam {
namespace {

// Leaves room for what flushes give back.
constexpr uint64_t kMaxCountdown =
    uint64_t{1} << (SamplingRate::kGenerationShift - 1);

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

// What a sampled object is, and its type if that is the embedder's.
ProfiledObject WhatIs(const TypeSet& types, const Span& span, uintptr_t cell,
                      const Type** type) {
  const Type* found = span.TypeOf(cell);
  if (found != nullptr && (found->flags & kTypeInternal) == 0) {
    *type = found;
    return ProfiledObject::kTyped;
  }
  *type = nullptr;
  if (found == types.ambiguous_type()) return ProfiledObject::kAmbiguous;
  if (found != nullptr || span.scan == ScanKind::kBitmap) {
    return ProfiledObject::kBitmap;
  }
  return span.scan == ScanKind::kValues ? ProfiledObject::kSlots
                                        : ProfiledObject::kBytes;
}

}  // namespace

SamplingCountdown DrawCountdown(Mutator* m, uint64_t rate) {
  const uint64_t mean = SamplingRate::RateOf(rate);
  uint64_t bytes = 1;
  // Of 1 byte means all of them.
  if (mean > 1) {
    if (m->sampling_random == 0) {
      m->sampling_random = NowNanoseconds() ^ reinterpret_cast<uintptr_t>(m);
    }
    constexpr double kScale = 1.0 / (uint64_t{1} << 53);
    const double uniform =
        static_cast<double>((NextRandom(&m->sampling_random) >> 11) + 1) *
        kScale;
    bytes += static_cast<uint64_t>(
        std::min(-std::log(uniform) * static_cast<double>(mean),
                 static_cast<double>(kMaxCountdown - 1)));
  }
  return (rate & ~LowBits(SamplingRate::kGenerationShift)) | bytes;
}

uintptr_t EndBeforeSample(Mutator* m, uint64_t rate,
                          SamplingCountdown* countdown, uintptr_t limit,
                          uintptr_t cell, uintptr_t next, uintptr_t new_limit,
                          bool take) {
  if ((*countdown ^ rate) >> SamplingRate::kGenerationShift != 0) {
    *countdown = DrawCountdown(m, rate);
  }
  const uint64_t bytes = SamplingRate::RateOf(*countdown);
  if (bytes > new_limit - limit) {
    *countdown -= new_limit - limit;
    return new_limit;
  }
  const uintptr_t point = limit + bytes - 1;
  if (point >= next) {
    const size_t cell_bytes = next - cell;
    const uintptr_t end = next + (point - next) / cell_bytes * cell_bytes;
    *countdown -= end - limit;
    return end;
  }
  if (!take) return 0;
  m->sampled_cell = cell;
  m->sampled_at_rate = SamplingRate::RateOf(rate);
  *countdown = DrawCountdown(m, rate);
  return next;
}

void SampleLarge(Mutator* m, uintptr_t object, size_t bytes) {
  const uint64_t rate = m->runtime->sampling_rate()->word();
  if (rate == 0) return;
  if (!PassesBy(m->large_sampling, rate, bytes)) {
    const uintptr_t end = object + bytes;
    (void)EndBeforeSample(m, rate, &m->large_sampling, object, object, end, end,
                          /*take=*/true);
    return;
  }
  m->large_sampling -= bytes;
}

void RecordSample(Mutator* m) {
  Runtime* runtime = m->runtime;
  const uintptr_t cell = m->sampled_cell;
  m->sampled_cell = 0;
  Span* span = runtime->page_heap()->FindSpan(cell);
  const Type* type;
  const ProfiledObject object = WhatIs(*runtime->types(), *span, cell, &type);
  const double objects =
      ObjectsPerSample(span->cell_bytes, m->sampled_at_rate);

  CallStack stack;
  const Callbacks& callbacks = runtime->options().callbacks;
  if (callbacks.profile_frames != nullptr) {
    callbacks.profile_frames(m, &stack);
  }
  if (stack.embedder_frames == 0 || runtime->options().profile_native_frames) {
    CaptureNativeFrames(m, &stack);
  }

  SpecialTable* specials = runtime->specials();
  HeapProfile* profile = specials->heap_profile();
  ProfileBucket* bucket = profile->CountAllocated(stack, object, type,
                                                  span->cell_bytes, objects);
  if (bucket != nullptr &&
      specials->AddProfile(span, cell, bucket, objects) == Status::kOk) {
    return;
  }
  if (bucket != nullptr) profile->CountDropped(bucket, objects);
  profile->CountLost();
}

}  // namespace loam
