/* Looking inside: statistics, heap walks, maps, checks. */
#ifndef LOAM_API_LOAM_INSPECT_H_
#define LOAM_API_LOAM_INSPECT_H_

#include "api/loam_types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LOAM_PAUSE_BUCKETS 84

typedef struct loam_stats {
  size_t struct_size; /* set by the caller: sizeof(loam_stats) */
  /* Memory, now. */
  uint64_t committed_bytes; /* from the OS; what heap_limit bounds */
  uint64_t peak_committed_bytes;
  uint64_t metadata_bytes;  /* of which the collector's own */
  uint64_t span_bytes;      /* pages in spans */
  uint64_t free_page_bytes; /* committed pages in no span */
  uint64_t reserved_bytes;  /* address space of arenas, and kept for them */
  uint64_t external_bytes;  /* loam_external_adjust */
  /* Objects. Counted per span, when a mutator caches it. */
  uint64_t live_bytes_estimate; /* marked last time, plus handed out since */
  uint64_t allocated_bytes;     /* since the heap was created */
  /* A cycle starts when the estimate, the external bytes, the bytes of records
   * that hang on objects (loam_specials.h), and once more the bytes of objects
   * that got a finalizer since the last cycle, reach this. */
  uint64_t trigger_bytes;
  /* Cycles. */
  uint64_t cycles;
  uint64_t live_bytes; /* marked by the last cycle */
  uint64_t live_objects;
  uint64_t total_pause_ns;
  uint64_t longest_pause_ns;
  uint64_t last_pause_ns;
  uint64_t total_mark_ns;
  uint64_t swept_bytes; /* of spans, dead and alive; each once per cycle */
  uint64_t freed_spans;
  /* Counts, now. */
  uint64_t mutators;
  uint64_t spans;
  uint64_t types_with_typed_spans;
  uint64_t finalizers_set;
  uint64_t finalizers_waiting; /* and what else loam_finalizers_run runs */
  uint64_t cleanups_set;
  uint64_t pinned_objects;
  uint64_t weak_handles; /* of objects not known to be dead */
  /* Going back to the OS. */
  uint64_t released_bytes;  /* now: free pages given back, or not used yet */
  uint64_t scavenged_bytes; /* in the background, since the heap was created */
  uint64_t scavenger_ns;    /* what that took */
  uint64_t background_sweep_ns; /* sweeping there */
  /* Pauses of collections, by length; see loam_pause_bucket_ns. */
  uint64_t pause_histogram[LOAM_PAUSE_BUCKETS];
  /* Of reserved_bytes: readable and writable, in spans, free or released. */
  uint64_t mapped_bytes;
  uint64_t manual_bytes; /* now: loam_pages_allocate; part of span_bytes */
} loam_stats;

LOAM_API loam_status loam_heap_stats(loam_heap* heap, loam_stats* stats);

/* The shortest pause, in nanoseconds, that a bucket of pause_histogram counts;
 * the longest is shorter than that of the next. Buckets are a quarter of a
 * power of two wide; the last counts all that are longer, from 0.9 s on. */
static inline uint64_t loam_pause_bucket_ns(size_t bucket) {
  return bucket < 4 ? bucket * 250
                    : ((4 + (uint64_t)(bucket % 4)) << (bucket / 4 - 1)) * 250;
}
/* Pauses that were at most so long: `share` of all, 0.99 say. The upper end of
 * a bucket, but no more than the longest pause; 0 before the first. */
static inline uint64_t loam_pause_quantile_ns(const loam_stats* stats,
                                              double share) {
  uint64_t all = 0, below = 0;
  size_t i;
  for (i = 0; i < LOAM_PAUSE_BUCKETS; i++) all += stats->pause_histogram[i];
  for (i = 0; i < LOAM_PAUSE_BUCKETS - 1; i++) {
    below += stats->pause_histogram[i];
    if (below > 0 && (double)below >= share * (double)all) {
      const uint64_t end = loam_pause_bucket_ns(i + 1);
      return end < stats->longest_pause_ns ? end : stats->longest_pause_ns;
    }
  }
  return stats->longest_pause_ns;
}

/* What a span class holds. */
typedef enum loam_span_kind LOAM_ENUM_TYPE {
  LOAM_SPAN_BYTES = 0, /* loam_alloc_bytes */
  LOAM_SPAN_SLOTS,     /* loam_alloc_slots */
  LOAM_SPAN_TYPES,     /* registered types, mixed, and arrays */
  LOAM_SPAN_TYPES_WITHOUT_REFERENCES,
  LOAM_SPAN_BITMAP,         /* loam_alloc_bitmap */
  LOAM_SPAN_TYPES_DISPOSED, /* the same, with a dispose function */
  LOAM_SPAN_ONE_TYPE,       /* a type that allocates much */
  LOAM_SPAN_LARGE           /* one object each */
} loam_span_kind;

/* Counts since the heap was created, of objects in cells of one size: for each
 * class objects (bytes) allocated less those freed are there now. Objects in a
 * span that a mutator has cached are counted when it gives the span back, at
 * the next collection at the latest; dead objects when they are swept. */
typedef struct loam_span_class_stats {
  loam_span_kind kind;
  const loam_type* type; /* LOAM_SPAN_ONE_TYPE; otherwise NULL */
  uint64_t cell_bytes;   /* 0: sizes differ (LOAM_SPAN_LARGE) */
  uint64_t allocated_objects, allocated_bytes;
  uint64_t freed_objects, freed_bytes;
} loam_span_class_stats;

/* Calls visit for every span class that has ever had a span, in no particular
 * order. A class's counts are of about one moment, and never say that more was
 * freed than allocated; those of all classes are of one moment while the world
 * is stopped. Not a safepoint; `visit` must not call loam. */
LOAM_API loam_status loam_heap_span_classes(
    loam_heap* heap,
    void (*visit)(const loam_span_class_stats* stats, void* data), void* data);
/* How many bytes of the heap's arenas the OS backs with memory now: at most
 * span_bytes and free_page_bytes, less where pages have not been touched yet,
 * and where they went to swap. What the collector keeps beside the arenas
 * (metadata_bytes) is not in it. Asks the OS about every page: about a
 * millisecond for a GiB that is reserved. Any thread, not a safepoint. */
LOAM_API uint64_t loam_heap_resident_bytes(loam_heap* heap);

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

/* Writes a page (HTML, complete in itself: it needs no network) that shows the
 * heap: each page of 8 KiB, what it is used for and how full, and tables by
 * span class and by type. `path` names a file, replaced if it is there; until
 * the new one is complete it stays as it was.
 *
 * Stops the world while it writes, up to a second for a GiB in small
 * objects. It does not sweep: of spans that have not been swept since the last
 * collection it shows what that has found alive, of others also what has been
 * allocated since, dead or not. Safepoint. Allocates nothing in the heap, and
 * works on one that has reached its limit. Errors: LOAM_INVALID_ARGUMENT
 * (NULL), LOAM_IO_ERROR (the file cannot be opened or written),
 * LOAM_OUT_OF_MEMORY (of the OS, for tables). */
LOAM_API loam_status loam_heap_map_write(loam_mutator* m, const char* path);

/* ---- What keeps objects alive ------------------------------------------ */

/* Writes a snapshot of the heap in the format of V8's, which the Memory panel
 * of Chrome's developer tools loads, and memlab: give the file the ending
 * .heapsnapshot. `path` names a file, replaced if it is there; until the new
 * one is complete it stays as it was.
 *
 * In it are the objects that the roots reach, which are those that a collection
 * at this moment would keep, less those that it would keep only for unordered
 * finalizers to run; no collection is run. Each has the name of its
 * type ("bytes", "slots" or "object with a bitmap" without one) and the size
 * that loam_object_size gives. Edges have the names of fields, and indices
 * where a word has none, is in an array, or was reported by a trace callback;
 * those of weak words are weak. Roots are nodes of their own, by thread, kind
 * and name. An object keeps its number (@...) for as long as the heap lives, so
 * that snapshots of a heap can be compared. Viewers read numbers of 32 bits: in
 * a heap with more than 32 GiB of address space (reserved_bytes) two objects
 * may show the same, and an object of 4 GiB or more is shown a byte smaller
 * than 4 GiB.
 *
 * Stops the world while it writes: about a second for a million objects.
 * Safepoint. Allocates nothing in the heap, and works on one that has reached
 * its limit; takes up to 16 bytes for each object, and a 56th of the heap, from
 * the OS meanwhile.
 * Errors: LOAM_INVALID_ARGUMENT (NULL), LOAM_IO_ERROR (the file cannot be
 * opened or written), LOAM_OUT_OF_MEMORY (of the OS, for tables),
 * LOAM_WRONG_STATE (a trace callback has not reported the same references of an
 * object the second time as the first). */
LOAM_API loam_status loam_heap_snapshot_write(loam_mutator* m,
                                              const char* path);

#define LOAM_NO_INDEX SIZE_MAX

/* One step of a path from a root to an object: who refers to whom, and how. */
typedef struct loam_path_step {
  /* The first step comes from a root: its kind ("registered root", "frame"
   * ...), its name ("" if it has none), and the name of its mutator, or "fiber"
   * ("": a root of the heap). In the others root_kind is NULL. */
  const char* root_kind;
  const char* root_name;
  const char* root_thread;
  /* The others come from an object. */
  const void* from; /* NULL in the first step */
  const loam_type* from_type;
  /* The word that refers; NULL in the first step, and where a trace callback
   * has reported it. */
  const void* slot;
  /* What the type calls it, or loam_visit_name has; "" if nothing. */
  const char* field;
  /* Of the array element that the word lies in; of the word among several of
   * one field, in an object without a type, in the root, or among those that
   * the trace callback reports. LOAM_NO_INDEX: of none. */
  size_t index;
  const void* to;
  const loam_type* to_type;
  size_t to_bytes; /* as loam_object_size */
} loam_path_step;

/* Return 0 to end the visits. Must not allocate, or call anything else that
 * takes the mutator. The step and its strings are valid until it returns. */
typedef int (*loam_path_fn)(const loam_path_step* step, void* data);

/* Finds what keeps an object alive: a shortest path of references from a root
 * to it. Calls visit for every step, from the root on; without one (NULL), the
 * path goes to the log as lines of text, of a very long one both ends. Weak
 * references keep nothing alive. An object that only an ordered finalizer keeps
 * has a root of the kind "object with a finalizer". One that only an unordered
 * finalizer would keep has none, until a collection has queued that.
 *
 * Stops the world while it follows the heap's references, about an eighth of a
 * second for a million objects. Safepoint. `object` may be an address inside
 * the object, and need not be rooted; if it is, that may well be the path.
 * Errors: LOAM_INVALID_ARGUMENT (no object lives there), LOAM_NOT_FOUND (no
 * root reaches it: it is dead, and the next collection will find that out),
 * LOAM_OUT_OF_MEMORY (of the OS, for tables: up to 24 bytes for each object
 * that the roots reach, and a 56th of the heap). */
LOAM_API loam_status loam_find_path(loam_mutator* m, const void* object,
                                    loam_path_fn visit, void* data);

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
   * most 16, and without a dispose function: the code that takes a cell also
   * stores the `const loam_type *` into its last word, cell_size - 8, before
   * the next safepoint. */
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
