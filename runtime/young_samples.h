// Samples of objects that no marking has seen yet.
//
// Most objects die before the first marking after their allocation. A record
// for each sampled one, made, put onto its span's list, found by sweeping and
// given back, would be most of what sampling costs, and all of it in vain. So a
// mutator keeps here what it has sampled since the last marking, and the
// profile, which tells of nothing that is younger, does not know of it yet:
//
//   waiting    from its allocation on
//   resolved   in the stop that ends a marking. What is dead for certain is
//              counted as allocated and as freed; anything else is counted as
//              allocated, and gets a record, so that sweeping tells of its
//              death
//   attached   counted and given its record before that, because the mutator
//              goes; or at once: when there is no room, and before the first
//              collection, while the profile tells of everything
//
// A waiting object's span is swept: it was when the object was allocated in it,
// and no marking has ended since.

#ifndef LOAM_RUNTIME_YOUNG_SAMPLES_H_
#define LOAM_RUNTIME_YOUNG_SAMPLES_H_

#include <cstddef>
#include <cstdint>

#include "runtime/specials/heap_profile.h"

namespace loam {

struct Mutator;
struct Span;

struct YoungSample {
  Span* span;
  uintptr_t cell;
  ProfileBucket* bucket;
  double objects;  // that it stands for
};

// Between two markings, at a sample for 512 KiB, those of 128 MiB.
constexpr size_t kMaxYoungSamples = 256;

// The mutator has sampled an object.
void AddYoungSample(Mutator* m, const YoungSample& sample);

// The world is stopped; a marking is over, the first since these objects were
// allocated, and nothing swept since.
void ResolveYoungSamples(Mutator* m);

// The mutator is about to go.
void AttachYoungSamples(Mutator* m);

}  // namespace loam

#endif  // LOAM_RUNTIME_YOUNG_SAMPLES_H_
