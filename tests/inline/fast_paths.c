/* What a compiler makes of loam_inline.h: check_fast_paths.py reads the
 * machine code of the functions below, which no one calls. */
#include "api/loam.h"

/* Not static, so that the compiler must keep them. */
void* alloc_object(loam_mutator* m, const loam_type* type);
void* alloc_loop(loam_mutator* m, const loam_type* type, long count);
void store_reference(loam_mutator* m, void** object, void* target);
void store_fresh(loam_mutator* m, void** object, void* target);
void safepoint_poll(loam_mutator* m);
loam_word frame(loam_mutator* m, loam_word word);

void* alloc_object(loam_mutator* m, const loam_type* type) {
  return loam_alloc(m, type);
}

/* A list of `count` objects, each pointing to the one before. */
void* alloc_loop(loam_mutator* m, const loam_type* type, long count) {
  void** list = NULL;
  for (long i = 0; i < count; i++) {
    void** object = loam_alloc(m, type);
    if (object == NULL) return NULL;
    loam_store_pointer_init(m, object, object, list);
    list = object;
  }
  return list;
}

void store_reference(loam_mutator* m, void** object, void* target) {
  loam_store_pointer(m, object, &object[1], target);
}

void store_fresh(loam_mutator* m, void** object, void* target) {
  loam_store_pointer_init(m, object, &object[1], target);
}

void safepoint_poll(loam_mutator* m) { loam_safepoint(m); }

loam_word frame(loam_mutator* m, loam_word word) {
  LOAM_FRAME(m, roots, 1, LOAM_POINTER);
  roots.slots[0] = word;
  /* What may collect would stand here: the slot is really in memory. */
  __asm__ volatile("" : : : "memory");
  word = roots.slots[0];
  LOAM_FRAME_END(roots);
  return word;
}

/* A program, for the linker to give addresses to the calls. */
int main(void) { return 0; }
