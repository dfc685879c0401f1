// The C header in the C++ that the build asks for: with strict warnings, with
// and without inlining. That it compiles is most of the test.

#ifdef LOAM_TEST_NO_INLINE
#define LOAM_NO_INLINE
#endif
#include <cstdio>

#include "api/loam.h"

static_assert(__cplusplus == LOAM_TEST_CPLUSPLUS);

#ifdef LOAM_NO_INLINE
#ifdef loam_alloc
#error "LOAM_NO_INLINE still makes loam_alloc a macro"
#endif
#endif

namespace {

struct Pair {
  Pair* next;
  loam_word value;
};

int Fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, loam_last_error());
  return 1;
}

}  // namespace

int main() {
  loam_options options;
  loam_options_init(&options);
  loam_heap* heap = nullptr;
  if (loam_heap_create(&options, &heap) != LOAM_OK) return Fail("create");
  const loam_field fields[] = {LOAM_FIELD(Pair, next, LOAM_POINTER)};
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.size = sizeof(Pair);
  info.fields = fields;
  info.field_count = 1;
  const loam_type* type = nullptr;
  if (loam_type_register(loam_heap_types(heap), &info, &type) != LOAM_OK) {
    return Fail("register");
  }
  loam_mutator* m = nullptr;
  if (loam_mutator_attach(heap, nullptr, &m) != LOAM_OK) return Fail("attach");
  LOAM_FRAME(m, f, 1, LOAM_POINTER);
  for (loam_word i = 0; i < 100000; i++) {
    auto* pair = static_cast<Pair*>(loam_alloc(m, type));
    if (pair == nullptr) return Fail("alloc");
    pair->value = i;
    auto* previous = reinterpret_cast<Pair*>(f.slots[0]);
    // Keep every thousandth.
    if (previous != nullptr && previous->value % 1000 != 0) {
      previous = previous->next;
    }
    loam_store_pointer(m, pair, &pair->next, previous);
    f.slots[0] = reinterpret_cast<loam_word>(pair);
    loam_safepoint(m);
  }
  if (loam_collect(m, LOAM_COLLECT_FULL) != LOAM_OK) return Fail("collect");
  int count = 0;
  for (auto* p = reinterpret_cast<Pair*>(f.slots[0]); p != nullptr;
       p = p->next) {
    count++;
  }
  LOAM_FRAME_END(f);
  if (count != 101) return Fail("the list has another length");
  if (loam_mutator_detach(m) != LOAM_OK) return Fail("detach");
  if (loam_heap_destroy(heap) != LOAM_OK) return Fail("destroy");
  return 0;
}
