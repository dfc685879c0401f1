/* The header in plain C11, with and without inlining, warnings being errors: a
 * list is built, collected around and checked, and cells are taken from cursors
 * by hand as compiled code would. */

#ifdef NDEBUG
#undef NDEBUG
#endif
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "api/loam.h"

#if __STDC_VERSION__ != 201112L
#error "this is to be compiled as C11"
#endif

struct pair {
  struct pair* next;
  loam_word value;
};

static const loam_field pair_fields[] = {
    LOAM_FIELD(struct pair, next, LOAM_POINTER),
    LOAM_FIELD(struct pair, value, LOAM_VALUE),
};

static struct pair* make_list(loam_mutator* m, const loam_type* type, int n) {
  LOAM_FRAME(m, f, 1, LOAM_POINTER);
  for (int i = 0; i < n; i++) {
    struct pair* p = (struct pair*)loam_alloc(m, type);
    assert(p != NULL && p->next == NULL && p->value == 0);
    loam_store_pointer_init(m, p, &p->next, (struct pair*)f.slots[0]);
    loam_store_value_init(m, p, &p->value, (loam_word)(i % 4096));
    f.slots[0] = (loam_word)p;
  }
  struct pair* head = (struct pair*)f.slots[0];
  LOAM_FRAME_END(f);
  return head;
}

static int is_list(const struct pair* head, int n) {
  for (int i = n; i-- > 0; head = head->next) {
    if (head == NULL || head->value != (loam_word)(i % 4096)) return 0;
  }
  return head == NULL;
}

/* What a JIT emits, from the numbers it was told. */
static void* alloc_by_hand(loam_mutator* m, uint32_t cursor_offset,
                           uint32_t cell_size) {
  loam_jit_info info;
  info.struct_size = sizeof(info);
  assert(loam_jit_info_get(&info) == LOAM_OK);
  char* cursor = (char*)m + cursor_offset;
  uintptr_t next, limit;
  memcpy(&next, cursor + info.cursor_next, sizeof(next));
  memcpy(&limit, cursor + info.cursor_limit, sizeof(limit));
  if (next + cell_size > limit) return NULL;
  const uintptr_t after = next + cell_size;
  memcpy(cursor + info.cursor_next, &after, sizeof(after));
  return (void*)next;
}

static void check_cursors(loam_heap* heap, loam_mutator* m,
                          const loam_type* hot) {
  loam_jit_info info;
  info.struct_size = sizeof(info);
  assert(loam_jit_info_get(&info) == LOAM_OK);
  assert(info.abi_version == LOAM_ABI_VERSION);
  uint32_t offset, size;
  memcpy(&offset, (const char*)hot + info.type_cursor_offset, 4);
  memcpy(&size, (const char*)hot + info.type_cell_size, 4);
  assert(size == sizeof(struct pair));
  char* first = (char*)loam_alloc(m, hot);
  char* second = (char*)alloc_by_hand(m, offset, size);
  assert(second == first + size);
  assert(loam_type_of(heap, second) == hot);
  assert((char*)loam_alloc(m, hot) == second + size);

  for (size_t bytes = 16; bytes <= 32768; bytes = bytes * 3 / 2) {
    for (int kind = LOAM_CURSOR_BYTES; kind <= LOAM_CURSOR_SLOTS; kind++) {
      assert(loam_cursor_of((loam_cursor_kind)kind, bytes, &offset, &size) ==
             LOAM_OK);
      assert(size >= bytes);
      /* The slow path fills the cursor; the next ones come from it. */
      void* slow = kind == LOAM_CURSOR_BYTES ? loam_alloc_bytes(m, bytes)
                                             : loam_alloc_slots(m, bytes / 8);
      assert(slow != NULL);
      char* quick = (char*)alloc_by_hand(m, offset, size);
      if (quick == NULL) continue; /* The run had one cell. */
      assert(loam_object_base(heap, quick) == quick);
      assert(loam_object_size(heap, quick) == size);
      for (size_t i = 0; i < size; i++) assert(quick[i] == 0);
    }
  }
  assert(loam_cursor_of(LOAM_CURSOR_BYTES, 8, &offset, &size) != LOAM_OK);
  assert(loam_cursor_of(LOAM_CURSOR_BYTES, 40000, &offset, &size) != LOAM_OK);
  assert(loam_cursor_of((loam_cursor_kind)99, 64, &offset, &size) ==
         LOAM_INVALID_ARGUMENT);
}

int main(void) {
  loam_options options;
  loam_options_init(&options);
  loam_heap* heap;
  assert(loam_heap_create(&options, &heap) == LOAM_OK);
  loam_type_info type_info = LOAM_TYPE_INFO_INIT;
  type_info.name = "pair";
  type_info.size = sizeof(struct pair);
  type_info.fields = pair_fields;
  type_info.field_count = 2;
  const loam_type *type, *hot;
  assert(loam_type_register(loam_heap_types(heap), &type_info, &type) ==
         LOAM_OK);
  type_info.flags = LOAM_TYPE_HOT;
  assert(loam_type_register(loam_heap_types(heap), &type_info, &hot) ==
         LOAM_OK);
  loam_mutator* m;
  assert(loam_mutator_attach(heap, "main", &m) == LOAM_OK);

  LOAM_FRAME(m, f, 2, LOAM_POINTER);
  f.slots[0] = (loam_word)make_list(m, type, 5000);
  f.slots[1] = (loam_word)make_list(m, hot, 5000);
  for (int i = 0; i < 100; i++) (void)make_list(m, type, 5000);
  assert(loam_collect(m, LOAM_COLLECT_FULL) == LOAM_OK);
  assert(is_list((struct pair*)f.slots[0], 5000));
  assert(is_list((struct pair*)f.slots[1], 5000));
  check_cursors(heap, m, hot);
  LOAM_FRAME_END(f);

  *loam_mutator_user_word(m, 2) = &heap;
  assert(((loam_mutator_abi*)(void*)m)->user[2] == &heap);
  loam_safepoint(m);
  assert(loam_heap_check(m, LOAM_CHECK_FULL, NULL, NULL) == LOAM_OK);
  assert(loam_mutator_detach(m) == LOAM_OK);
  assert(loam_heap_destroy(heap) == LOAM_OK);
  printf("ok\n");
  return 0;
}
