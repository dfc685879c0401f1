/* Looking inside: statistics, heap walks, checks. */
#ifndef LOAM_API_LOAM_INSPECT_H_
#define LOAM_API_LOAM_INSPECT_H_

#include "api/loam_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct loam_stats {
  size_t struct_size; /* set by the caller: sizeof(loam_stats) */
  /* Memory, now. */
  uint64_t committed_bytes; /* from the OS; what heap_limit bounds */
  uint64_t peak_committed_bytes;
  uint64_t metadata_bytes;  /* of which the collector's own */
  uint64_t span_bytes;      /* pages in spans */
  uint64_t free_page_bytes; /* committed pages in no span */
  uint64_t reserved_bytes;  /* address space of arenas */
  uint64_t external_bytes;  /* loam_external_adjust */
  /* Objects. Counted per span, when a mutator caches it. */
  uint64_t live_bytes_estimate; /* marked last time, plus handed out since */
  uint64_t allocated_bytes;     /* since the heap was created */
  /* A cycle starts when the estimate, the external bytes, 32 bytes for each
   * finalizer, and once more the bytes of objects that got one since the last
   * cycle, reach this. */
  uint64_t trigger_bytes;
  /* Cycles. */
  uint64_t cycles;
  uint64_t live_bytes; /* marked by the last cycle */
  uint64_t live_objects;
  uint64_t total_pause_ns;
  uint64_t longest_pause_ns;
  uint64_t last_pause_ns;
  uint64_t total_mark_ns;
  uint64_t swept_spans;
  uint64_t freed_spans;
  /* Counts, now. */
  uint64_t mutators;
  uint64_t spans;
  uint64_t types_with_typed_spans;
  uint64_t finalizers_set;
  uint64_t finalizers_waiting;
  /* Going back to the OS. */
  uint64_t released_bytes;  /* now: free pages given back, or not used yet */
  uint64_t scavenged_bytes; /* in the background, since the heap was created */
  uint64_t scavenger_ns;    /* what that took */
  uint64_t manual_bytes;    /* now: loam_pages_allocate; part of span_bytes */
} loam_stats;

LOAM_API loam_status loam_heap_stats(loam_heap* heap, loam_stats* stats);

/* One object: its address, the bytes of its cell that are its own, its type or
 * NULL. Return 0 to end the walk. Must not allocate, or call anything else that
 * takes the mutator. */
typedef int (*loam_walk_fn)(void* object, size_t size, const loam_type* type,
                            void* data);
/* Stops the world, finishes sweeping and visits every allocated object, in no
 * particular order; objects that died since the last collection included.
 * Safepoint. Several tiny objects in one cell are visited as one. */
LOAM_API loam_status loam_heap_walk(loam_mutator* m, loam_walk_fn fn,
                                    void* data);

/* For these three, the thread runs in the heap, or something keeps the object
 * alive. */

/* The bytes an object may use: its size rounded up to its cell; 0 if `object`
 * is not inside an object of this heap. */
LOAM_API size_t loam_object_size(loam_heap* heap, const void* object);
/* The base of the object an address lies in, or NULL. */
LOAM_API void* loam_object_base(loam_heap* heap, const void* interior);
/* Nonzero if `p` lies in an allocated object (not whether it is reachable). */
LOAM_API int loam_is_live_object(loam_heap* heap, const void* p);

typedef enum loam_check_level LOAM_ENUM_TYPE {
  LOAM_CHECK_QUICK = 0, /* counters and lists */
  LOAM_CHECK_FULL       /* every span and bitmap; stops the world */
} loam_check_level;

/* Checks the heap's invariants; prints each violation to `report` (a
 * callback, one line each) and returns LOAM_WRONG_STATE if there was one.
 * Safepoint at LOAM_CHECK_FULL. */
LOAM_API loam_status loam_heap_check(loam_mutator* m, loam_check_level level,
                                     void (*report)(const char* line,
                                                    void* data),
                                     void* data);

/* Later versions: LOAM_NOT_SUPPORTED. */
LOAM_API loam_status loam_find_path(loam_mutator* m, const void* object);
LOAM_API loam_status loam_heap_profile_write(loam_heap* heap, const char* path);
LOAM_API loam_status loam_heap_snapshot_write(loam_mutator* m,
                                              const char* path);

/* ---- For compilers and JITs -------------------------------------------- */

/* The facts of loam_inline.h as numbers; offsets in bytes. Checked at heap
 * creation against the header an embedder was compiled with. */
typedef struct loam_jit_info {
  size_t struct_size; /* set by the caller */
  uint32_t abi_version;
  uint32_t mutator_safepoint; /* uint32_t: poll, nonzero: loam_safepoint_slow */
  uint32_t mutator_barrier;   /* uint32_t: nonzero: loam_store_slow */
  uint32_t mutator_root_stack; /* loam_root_stack * */
  uint32_t mutator_user_words; /* void *[4] */
  uint32_t type_cursor_offset; /* uint32_t in loam_type: cursor's offset in the
                                  mutator */
  uint32_t type_cell_size;     /* uint32_t in loam_type */
  uint32_t cursor_next;        /* uintptr_t in loam_cursor */
  uint32_t cursor_limit;       /* uintptr_t in loam_cursor */
  uint32_t frame_stack, frame_previous, frame_map, frame_slots;
  uint32_t stack_frames, stack_next_handle, stack_handle_limit;
} loam_jit_info;

LOAM_API loam_status loam_jit_info_get(loam_jit_info* info);

typedef enum loam_cursor_kind LOAM_ENUM_TYPE {
  LOAM_CURSOR_BYTES = 0, /* loam_alloc_bytes */
  LOAM_CURSOR_SLOTS,     /* loam_alloc_slots */
  /* loam_alloc_array of a type with references (without any), aligned to at
   * most 16: the code that takes a cell also stores the `const loam_type *`
   * into its last word, cell_size - 8, before the next safepoint. */
  LOAM_CURSOR_ARRAY,
  LOAM_CURSOR_ARRAY_WITHOUT_REFERENCES
} loam_cursor_kind;

/* The cursor that serves such objects of `size` bytes, the type word not
 * counted: its offset in the mutator, and the size of the cells it hands out.
 * LOAM_NOT_FOUND for sizes below 16 or that need a span of their own. */
LOAM_API loam_status loam_cursor_of(loam_cursor_kind kind, size_t size,
                                    uint32_t* cursor_offset,
                                    uint32_t* cell_size);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_API_LOAM_INSPECT_H_ */
