/* Roots: registered words, providers, frames, handles, globals, fibers. */
#ifndef LOAM_API_LOAM_ROOTS_H_
#define LOAM_API_LOAM_ROOTS_H_

#include "api/loam_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Registered roots and providers ------------------------------------ */

typedef struct loam_root loam_root;
typedef struct loam_fiber loam_fiber;

/* `slot` is one word (of `count` words) outside the heap, of kind LOAM_VALUE,
 * LOAM_POINTER or LOAM_AMBIGUOUS, read at every collection until the root is
 * removed; or of a weak kind, and then it keeps nothing alive, and is set to
 * options.weak_cleared_word when what it referred to has died. `name` may be
 * NULL. */
LOAM_API loam_status loam_root_add(loam_heap* heap, void* slot,
                                   loam_word_kind kind, const char* name,
                                   loam_root** root);
LOAM_API loam_status loam_root_add_range(loam_heap* heap, void* slots,
                                         size_t count, loam_word_kind kind,
                                         const char* name, loam_root** root);
/* Also removes providers. */
LOAM_API loam_status loam_root_remove(loam_root* root);

/* Visits the embedder's own roots: VM stacks, handle tables, globals. Runs
 * while its owner (the heap, a mutator, a fiber) stands still, perhaps on
 * another thread, perhaps several times in a cycle; never allocates, never
 * calls anything but loam_visit_*. */
typedef void (*loam_root_provider_fn)(loam_visitor* visitor, void* data);

LOAM_API loam_status loam_root_provider_add(loam_heap* heap,
                                            loam_root_provider_fn fn,
                                            void* data, const char* name,
                                            loam_root** root);
/* Gone when the mutator is detached, the fiber destroyed. */
LOAM_API loam_status loam_mutator_root_provider_add(loam_mutator* m,
                                                    loam_root_provider_fn fn,
                                                    void* data,
                                                    const char* name,
                                                    loam_root** root);
LOAM_API loam_status loam_fiber_root_provider_add(loam_fiber* fiber,
                                                  loam_root_provider_fn fn,
                                                  void* data, const char* name,
                                                  loam_root** root);

/* For providers and trace callbacks. */
LOAM_API void loam_visit_value(loam_visitor* visitor, loam_word word);
LOAM_API void loam_visit_pointer(loam_visitor* visitor, const void* target);
LOAM_API void loam_visit_value_range(loam_visitor* visitor, const void* words,
                                     size_t count);
LOAM_API void loam_visit_pointer_range(loam_visitor* visitor, const void* words,
                                       size_t count);
LOAM_API void loam_visit_ambiguous_range(loam_visitor* visitor,
                                         const void* words, size_t count);
/* What is visited next is called this, up to the next name or the end: a global
 * variable, say, or a field that only the trace callback knows. For snapshots
 * and paths, which name the first word `name`, the second `name[1]` and so on.
 * Copied where it is needed, up to 127 bytes; costs a call where it is not. */
LOAM_API void loam_visit_name(loam_visitor* visitor, const char* name);

/* ---- Frames ------------------------------------------------------------ */

/* What the slots of a frame hold: `kinds` has one loam_word_kind per slot;
 * NULL: all are `uniform_kind`. Slots of a frame keep alive what they refer to,
 * or are LOAM_DATA: there are no weak ones. */
typedef struct loam_frame_map {
  uint32_t count;
  uint32_t uniform_kind;
  const uint8_t* kinds;
  const char* name; /* of the function, for messages; may be NULL */
} loam_frame_map;

/* A frame on the native stack; `map->count` words follow it. Pushed and popped
 * by loam_frame_push and loam_frame_pop (loam_inline.h), or by compiled code.
 * Its slots are written with plain stores by the thread that runs. (`previous`
 * and `stack` are apart because gcc would make one wide store of them, which
 * has to wait until `previous` has been read.) */
typedef struct loam_root_stack loam_root_stack;
typedef struct loam_frame {
  struct loam_frame* previous;
  const loam_frame_map* map;
  loam_root_stack* stack;
} loam_frame;

/* One handle: a rooted word. */
typedef struct loam_handle_slot {
  loam_word word;
  loam_word kind; /* LOAM_VALUE or LOAM_POINTER */
} loam_handle_slot;
typedef loam_handle_slot* loam_handle;

/* What frames and handles hang on: every mutator has one, and every fiber. The
 * first three members are ABI. */
struct loam_root_stack {
  loam_frame* frames;
  loam_handle_slot* next_handle;
  loam_handle_slot* handle_limit;
};

/* ---- Handles ----------------------------------------------------------- */

/* Where the handles of a root stack stood: open a scope, make handles, close it
 * and they are gone. Scopes close in reverse order of opening. */
typedef struct loam_handle_scope {
  loam_root_stack* stack;
  loam_handle_slot* next_handle;
  void* block;
} loam_handle_scope;

LOAM_API void loam_handle_scope_open(loam_mutator* m, loam_handle_scope* scope);
LOAM_API void loam_handle_scope_close(loam_handle_scope* scope);

/* A handle in the innermost open scope, valid until that closes; NULL when out
 * of memory. Not a safepoint. */
LOAM_API loam_handle loam_handle_value(loam_mutator* m, loam_word word);
LOAM_API loam_handle loam_handle_pointer(loam_mutator* m, const void* target);

/* A global: a rooted word with any lifetime, for any thread. `kind` is
 * LOAM_VALUE or LOAM_POINTER, or one of the weak kinds: then it keeps nothing
 * alive, and holds options.weak_cleared_word when what it referred to has died.
 * set and get are atomic (release and acquire). */
typedef struct loam_global loam_global;
LOAM_API loam_status loam_global_create(loam_heap* heap, loam_word_kind kind,
                                        loam_word word, loam_global** global);
LOAM_API void loam_global_set(loam_mutator* m, loam_global* global,
                              loam_word word);
LOAM_API loam_word loam_global_get(const loam_global* global);
LOAM_API loam_status loam_global_destroy(loam_global* global);

/* ---- Unwinding --------------------------------------------------------- */

/* A point to come back to after longjmp or a caught exception: the current root
 * stack's frames and handles, and how deep native and gc-disabled sections
 * nest. */
typedef struct loam_unwind_point {
  loam_root_stack* stack;
  loam_frame* frames;
  loam_handle_slot* next_handle;
  void* handle_block;
  uint32_t native_depth;
  uint32_t gc_disabled_depth;
} loam_unwind_point;

/* May be called in native state. A jump out of native state first pops, or
 * leaves native under, whatever frames it skips: a collector may be reading
 * them until then. What loam_stop_the_world has nested is not restored. */
LOAM_API void loam_unwind_save(loam_mutator* m, loam_unwind_point* point);
/* Leaves native state if the point was saved in running state: a safepoint
 * then. Fatal if the current fiber is not the one of the point. */
LOAM_API void loam_unwind_to(loam_mutator* m, const loam_unwind_point* point);

/* ---- Fibers ------------------------------------------------------------ */

/* A fiber has a root stack and providers of its own. With an owner (an object
 * of the heap) it is scanned only while current or while its owner is
 * reachable, and is destroyed with it; without, it is a root until destroyed.
 */
LOAM_API loam_status loam_fiber_create(loam_heap* heap, void* owner,
                                       loam_fiber** fiber);
/* Before the memory of its native stack goes back to the OS: the heap profile
 * may read there. LOAM_WRONG_STATE while it is current on some mutator. */
LOAM_API loam_status loam_fiber_destroy(loam_fiber* fiber);
/* Makes a fiber's root stack current on this mutator; NULL: the mutator's own.
 * A fiber that is current on another mutator is fatal. */
LOAM_API void loam_fiber_switch(loam_mutator* m, loam_fiber* fiber);
/* NULL on the mutator's own root stack. */
LOAM_API loam_fiber* loam_fiber_current(loam_mutator* m);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_API_LOAM_ROOTS_H_ */
