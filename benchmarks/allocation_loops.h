/* Allocating `count` objects that die at once. All return how many there was
 * memory for. */
#ifndef LOAM_BENCHMARKS_ALLOCATION_LOOPS_H_
#define LOAM_BENCHMARKS_ALLOCATION_LOOPS_H_

#include "api/loam.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A registered fixed-size type: through the inlined fast path, and through the
 * library's function. */
size_t allocate_typed(loam_mutator* m, const loam_type* type, size_t count);
size_t allocate_typed_by_call(loam_mutator* m, const loam_type* type,
                              size_t count);

/* The same, 64 at a time by loam_alloc_many. */
size_t allocate_many(loam_mutator* m, const loam_type* type, size_t count);

/* No type: `size` bytes without references, `words` values. */
size_t allocate_bytes(loam_mutator* m, size_t size, size_t count);
size_t allocate_slots(loam_mutator* m, size_t words, size_t count);

/* A registered type with a trailing array of `elements`. */
size_t allocate_arrays(loam_mutator* m, const loam_type* type, size_t elements,
                       size_t count);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_BENCHMARKS_ALLOCATION_LOOPS_H_ */
