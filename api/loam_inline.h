/* The fast paths, for C and C++ compilers to inline and for JITs to copy.
 *
 * Everything here is ABI: the structures below are the public beginnings of the
 * library's own, checked at heap creation (LOAM_ABI_MISMATCH) and reported by
 * loam_jit_info_get.
 *
 * Allocation of a registered fixed-size type, x86-64 (m in rdi, type known):
 *
 *     mov  rax, [rdi + CURSOR]        ; cursor.next
 *     lea  rcx, [rax + CELL_SIZE]
 *     cmp  rcx, [rdi + CURSOR + 8]    ; cursor.limit
 *     ja   slow                       ; loam_alloc_slow(m, type)
 *     mov  [rdi + CURSOR], rcx        ; rax is the object, zeroed
 *
 * AArch64 (m in x0):
 *
 *     ldp  x1, x2, [x0, #CURSOR]
 *     add  x3, x1, #CELL_SIZE
 *     cmp  x3, x2
 *     b.hi slow
 *     str  x3, [x0, #CURSOR]          ; x1 is the object, zeroed
 *
 * A cursor that is not in use is all zeroes, so the code falls into the slow
 * path and is never patched.
 *
 * Safepoint poll, at loop back edges and function entries:
 *
 *     cmp  dword [rdi + SAFEPOINT], 0
 *     jne  slow                       ; loam_safepoint_slow(m)
 *
 *     ldr  w1, [x0, #SAFEPOINT]
 *     cbnz w1, slow
 *
 * Store of a word (rcx, x3) to a slot (rdx, x2) of an object (rsi, x1). The
 * slow path takes its arguments in these registers, changes none, and comes
 * back to the store:
 *
 *     cmp  dword [rdi + BARRIER], 0
 *     jne  slow                       ; call loam_store_slow, jmp store
 *   store:
 *     mov  [rdx], rcx
 *
 *     ldr  w9, [x0, #BARRIER]
 *     cbnz w9, slow                   ; bl loam_store_slow, b store
 *   store:
 *     str  x3, [x2]
 *
 * Push of a frame of two slots at FRAME on the native stack, its map a
 * constant; and the pop:
 *
 *     mov  rax, [rdi + STACK]         ; the current root stack
 *     mov  rcx, [rax]                 ; its newest frame: stack.frames
 *     mov  [rsp + FRAME], rcx         ; frame.previous
 *     lea  rdx, [rip + MAP]
 *     mov  [rsp + FRAME + 8], rdx     ; frame.map
 *     mov  [rsp + FRAME + 16], rax    ; frame.stack
 *     xor  edx, edx
 *     mov  [rsp + FRAME + 24], rdx    ; the slots, zeroed or filled,
 *     mov  [rsp + FRAME + 32], rdx    ; before the frame is linked
 *     lea  rcx, [rsp + FRAME]
 *     mov  [rax], rcx
 *     ...
 *     mov  rax, [rsp + FRAME + 16]    ; through the stack it stored
 *     mov  rcx, [rsp + FRAME]
 *     mov  [rax], rcx
 *
 *     ldr  x9, [x0, #STACK]
 *     ldr  x10, [x9]
 *     adrp x11, MAP
 *     add  x11, x11, :lo12:MAP
 *     stp  x10, x11, [sp, #FRAME]
 *     stp  x9, xzr, [sp, #FRAME + 16]
 *     str  xzr, [sp, #FRAME + 32]
 *     add  x10, sp, #FRAME
 *     str  x10, [x9]
 *     ...
 *     ldr  x9, [sp, #FRAME + 16]
 *     ldr  x10, [sp, #FRAME]
 *     str  x10, [x9]
 */
#ifndef LOAM_API_LOAM_INLINE_H_
#define LOAM_API_LOAM_INLINE_H_

/* Changes whenever a structure or offset below does. */
#define LOAM_ABI_VERSION 1

#include "api/loam_mutator.h"
#include "api/loam_roots.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LOAM_LIKELY(x) __builtin_expect(!!(x), 1)
#define LOAM_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Free cells from `next` on, zeroed up to `limit`, which may lie inside a cell:
 * compare with the end of the cell that is wanted, as below. Owned by the
 * mutator's thread. */
typedef struct loam_cursor {
  uintptr_t next;
  uintptr_t limit;
} loam_cursor;

/* The public beginning of a loam_mutator. */
typedef struct loam_mutator_abi {
  uint32_t safepoint; /* nonzero: call loam_safepoint_slow. Atomic, relaxed */
  uint32_t barrier;   /* nonzero: call loam_store_slow. Changes while stopped */
  loam_root_stack* stack; /* current; changed by loam_fiber_switch */
  void* user[4];
} loam_mutator_abi;

/* The public beginning of a loam_type. Constant once registered. */
typedef struct loam_type_abi {
  uint32_t cursor_offset; /* of the type's cursor, in the mutator */
  uint32_t cell_size;
} loam_type_abi;

/* Slow paths. loam_store_slow runs before the store, is no safepoint, preserves
 * all general registers and the first 128 bits of the vector registers on
 * x86-64 and AArch64 (not the flags, nor x16 and x17; more in
 * api/store_slow.S), and handles NULL objects with a message. */
LOAM_API void loam_safepoint_slow(loam_mutator* m);
LOAM_API void* loam_alloc_slow(loam_mutator* m, const loam_type* type);
LOAM_API void loam_store_slow(loam_mutator* m, void* object, void* slot,
                              loam_word word);

static inline void loam_safepoint_inline(loam_mutator* m) {
  loam_mutator_abi* abi = (loam_mutator_abi*)(void*)m;
  if (LOAM_UNLIKELY(__atomic_load_n(&abi->safepoint, __ATOMIC_RELAXED) != 0)) {
    loam_safepoint_slow(m);
  }
}

static inline void* loam_alloc_inline(loam_mutator* m, const loam_type* type) {
  const loam_type_abi* abi = (const loam_type_abi*)(const void*)type;
  loam_cursor* cursor =
      (loam_cursor*)(void*)((char*)(void*)m + abi->cursor_offset);
  uintptr_t object = cursor->next;
  uintptr_t next = object + abi->cell_size;
  if (LOAM_UNLIKELY(next > cursor->limit)) return loam_alloc_slow(m, type);
  cursor->next = next;
  return (void*)object;
}

static inline void loam_store_value_inline(loam_mutator* m, void* object,
                                           void* slot, loam_word word) {
  const loam_mutator_abi* abi = (const loam_mutator_abi*)(void*)m;
  if (LOAM_UNLIKELY(abi->barrier != 0)) loam_store_slow(m, object, slot, word);
  __atomic_store_n((loam_word*)slot, word, __ATOMIC_RELAXED);
}

static inline void loam_store_pointer_inline(loam_mutator* m, void* object,
                                             void* slot, const void* target) {
  loam_store_value_inline(m, object, slot, (loam_word)target);
}

static inline void loam_store_value_init_inline(loam_mutator* m, void* object,
                                                void* slot, loam_word word) {
  (void)m;
  (void)object;
  __atomic_store_n((loam_word*)slot, word, __ATOMIC_RELAXED);
}

static inline void loam_store_pointer_init_inline(loam_mutator* m, void* object,
                                                  void* slot,
                                                  const void* target) {
  loam_store_value_init_inline(m, object, slot, (loam_word)target);
}

/* ---- Frames ------------------------------------------------------------ */

/* Pushes a frame whose slots have been zeroed or filled. */
static inline void loam_frame_push(loam_mutator* m, loam_frame* frame,
                                   const loam_frame_map* map) {
  loam_mutator_abi* abi = (loam_mutator_abi*)(void*)m;
  frame->stack = abi->stack;
  frame->previous = frame->stack->frames;
  frame->map = map;
  frame->stack->frames = frame;
}

/* Pops it: through the stack it stored, since a fiber may have moved to another
 * mutator meanwhile. Frames are popped in reverse order of pushing. */
static inline void loam_frame_pop(loam_frame* frame) {
  frame->stack->frames = frame->previous;
}

/* LOAM_FRAME(m, f, 2, LOAM_POINTER); declares and pushes a frame `f` of two
 * slots of one kind, f.slots[0] and f.slots[1], zeroed; LOAM_FRAME_END(f) pops
 * it, on every way out. */
#define LOAM_FRAME(m, f, slot_count, slot_kind)                           \
  static const loam_frame_map f##_map = {(slot_count), (slot_kind), NULL, \
                                         __func__};                       \
  struct {                                                                \
    loam_frame frame;                                                     \
    loam_word slots[slot_count];                                          \
  } f = {{NULL, NULL, NULL}, {0}};                                        \
  loam_frame_push((m), &f.frame, &f##_map)
#define LOAM_FRAME_END(f) loam_frame_pop(&(f).frame)

/* ---- ABI check --------------------------------------------------------- */

/* A digest of every offset above that code compiled against this header uses.
 */
static inline uint32_t loam_abi_layout(void) {
  const size_t facts[] = {
      sizeof(loam_cursor),
      offsetof(loam_cursor, next),
      offsetof(loam_cursor, limit),
      offsetof(loam_mutator_abi, safepoint),
      offsetof(loam_mutator_abi, barrier),
      offsetof(loam_mutator_abi, stack),
      offsetof(loam_mutator_abi, user),
      sizeof(loam_mutator_abi),
      offsetof(loam_type_abi, cursor_offset),
      offsetof(loam_type_abi, cell_size),
      sizeof(loam_frame),
      offsetof(loam_frame, previous),
      offsetof(loam_frame, map),
      sizeof(loam_frame_map),
      sizeof(loam_root_stack),
      offsetof(loam_root_stack, frames),
      offsetof(loam_root_stack, next_handle),
      offsetof(loam_root_stack, handle_limit),
      sizeof(loam_handle_slot),
  };
  uint32_t digest = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
    digest = (digest ^ (uint32_t)facts[i]) * 16777619u;
  }
  return digest;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

/* With these, plain calls are the inlined ones; the library exports the plain
 * names as functions too, for other languages. */
#ifndef LOAM_NO_INLINE
#define loam_safepoint(m) loam_safepoint_inline(m)
#define loam_alloc(m, type) loam_alloc_inline((m), (type))
#define loam_store_value(m, object, slot, word) \
  loam_store_value_inline((m), (object), (slot), (word))
#define loam_store_pointer(m, object, slot, target) \
  loam_store_pointer_inline((m), (object), (slot), (target))
#define loam_store_value_init(m, object, slot, word) \
  loam_store_value_init_inline((m), (object), (slot), (word))
#define loam_store_pointer_init(m, object, slot, target) \
  loam_store_pointer_init_inline((m), (object), (slot), (target))
#endif

#endif /* LOAM_API_LOAM_INLINE_H_ */
