/* Functions that check_fast_paths.py must complain about, one for each of its
 * complaints. */
#define LOAM_NO_INLINE
#include "api/loam.h"

void* calls(loam_mutator* m, const loam_type* type);
void* leaves(loam_mutator* m, const loam_type* type);
void locks(long* counter);
void exchanges(long* slot, long word);
void spins(void);

void* calls(loam_mutator* m, const loam_type* type) {
  void** object = loam_alloc(m, type);
  if (object != NULL) object[0] = object;
  return object;
}

/* The call is the last thing it does: a jump. */
void* leaves(loam_mutator* m, const loam_type* type) {
  return loam_alloc(m, type);
}

void locks(long* counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

void exchanges(long* slot, long word) {
  __atomic_store_n(slot, word, __ATOMIC_SEQ_CST);
}

void spins(void) {
  for (;;) __asm__ volatile("");
}

int main(void) { return 0; }
