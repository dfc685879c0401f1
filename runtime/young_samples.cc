#include "runtime/young_samples.h"

#include "runtime/runtime.h"

namespace loam {
namespace {

void Attach(SpecialTable* specials, const YoungSample& sample) {
  HeapProfile* profile = specials->heap_profile();
  if (specials->AddProfile(sample.span, sample.cell, sample.bucket,
                           sample.objects) != Status::kOk) {
    return profile->CountLost();
  }
  // Nobody finds it dead in between: that takes a marking.
  profile->CountAllocated(sample.bucket, sample.objects);
}

}  // namespace

void AddYoungSample(Mutator* m, const YoungSample& sample) {
  SpecialTable* specials = m->runtime->specials();
  if (m->young_samples == nullptr &&
      m->region.EnsureCommitted(kYoungSamplesOffset, kYoungSamplesBytes)) {
    m->young_samples =
        reinterpret_cast<YoungSample*>(m->region.base() + kYoungSamplesOffset);
  }
  if (m->young_samples == nullptr ||
      m->young_sample_count == kMaxYoungSamples ||
      specials->heap_profile()->cycles() == 0) {
    return Attach(specials, sample);
  }
  m->young_samples[m->young_sample_count++] = sample;
}

void ResolveYoungSamples(Mutator* m) {
  SpecialTable* specials = m->runtime->specials();
  HeapProfile* profile = specials->heap_profile();
  for (uint32_t i = 0; i < m->young_sample_count; i++) {
    const YoungSample& sample = m->young_samples[i];
    const bool died = specials->WillDie(sample.span, sample.cell);
    if (died || specials->AddProfile(sample.span, sample.cell, sample.bucket,
                                     sample.objects) == Status::kOk) {
      profile->CountYoung(sample.bucket, sample.objects, died);
    } else {
      profile->CountLost();
    }
  }
  m->young_sample_count = 0;
}

void AttachYoungSamples(Mutator* m) {
  for (uint32_t i = 0; i < m->young_sample_count; i++) {
    Attach(m->runtime->specials(), m->young_samples[i]);
  }
  m->young_sample_count = 0;
}

}  // namespace loam
