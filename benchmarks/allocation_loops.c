#include "benchmarks/allocation_loops.h"

/* The compiler must not drop an object that nobody uses. */
#define KEEP(object) __asm__ volatile("" : : "r"(object) : "memory")

/* The library's function, not what loam_inline.h puts in its place. */
#undef loam_alloc

#define ALLOCATE(count, expression)             \
  do {                                          \
    size_t done = 0;                            \
    for (; done < (count); done++) {            \
      void* object = (expression);              \
      if (LOAM_UNLIKELY(object == NULL)) break; \
      KEEP(object);                             \
    }                                           \
    return done;                                \
  } while (0)

size_t allocate_typed(loam_mutator* m, const loam_type* type, size_t count) {
  ALLOCATE(count, loam_alloc_inline(m, type));
}

size_t allocate_typed_by_call(loam_mutator* m, const loam_type* type,
                              size_t count) {
  ALLOCATE(count, loam_alloc(m, type));
}

size_t allocate_many(loam_mutator* m, const loam_type* type, size_t count) {
  void* objects[64];
  size_t done = 0;
  while (done < count) {
    const size_t wanted = count - done < 64 ? count - done : 64;
    const size_t got = loam_alloc_many(m, type, wanted, objects);
    if (got == 0) break;
    for (size_t i = 0; i < got; i++) KEEP(objects[i]);
    done += got;
  }
  return done;
}

size_t allocate_bytes(loam_mutator* m, size_t size, size_t count) {
  ALLOCATE(count, loam_alloc_bytes(m, size));
}

size_t allocate_slots(loam_mutator* m, size_t words, size_t count) {
  ALLOCATE(count, loam_alloc_slots(m, words));
}

size_t allocate_arrays(loam_mutator* m, const loam_type* type, size_t elements,
                       size_t count) {
  ALLOCATE(count, loam_alloc_array(m, type, elements));
}
