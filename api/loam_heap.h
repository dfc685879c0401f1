/* Heaps: options, limits, collections, pages, fork. */
#ifndef LOAM_API_LOAM_HEAP_H_
#define LOAM_API_LOAM_HEAP_H_

#include <stdio.h>
#include <string.h>

#include "api/loam_inline.h"
#include "api/loam_platform.h"
#include "api/loam_profile.h"
#include "api/loam_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* When to collect. */
typedef enum loam_policy LOAM_ENUM_TYPE {
  LOAM_POLICY_GROWTH = 0, /* when the heap has grown by gc_percent */
  LOAM_POLICY_FIXED       /* when fixed_heap_size bytes are in use */
} loam_policy;

#define LOAM_GC_PERCENT_DEFAULT 100
#define LOAM_RETAIN_PERCENT_DEFAULT 10
#define LOAM_MINIMUM_HEAP_DEFAULT (4u << 20)
#define LOAM_MEMORY_LIMIT_NONE UINT64_MAX /* no soft limit */
#define LOAM_MEMORY_LIMIT_CGROUP 0 /* read the container's limit, if any */

/* Debugging aids. All are off by default and slow; none needs a recompile. The
 * environment variable named beside each one overrides it. */
typedef struct loam_check_options {
  /* Collect at every Nth allocation; 0: never. LOAM_STRESS */
  uint32_t stress_interval;
  /* Collect at each allocation with this probability. LOAM_STRESS_PROBABILITY
   * and LOAM_STRESS_SEED (0: a fresh seed, printed to the log) */
  double stress_probability;
  uint64_t stress_seed;
  /* Fill freed cells with 0xdb bytes. LOAM_POISON */
  uint32_t poison;
  /* Re-mark independently after marking, and compare: finds missed objects,
   * references to free cells and to other loam heaps. LOAM_VERIFY */
  uint32_t verify_marking;
  /* Compare every slot with what went through the store functions, and check
   * store and root arguments: finds raw stores, by type and field. Uses as much
   * memory again as the heap, beyond heap_limit. LOAM_CHECK_STORES */
  uint32_t check_stores;
  /* Check that each mutator is used by one thread. LOAM_CHECK_THREADS */
  uint32_t check_threads;
  /* A reference to an address outside the heap is fatal; implies
   * verify_marking. LOAM_CHECK_FOREIGN */
  uint32_t forbid_foreign_references;
  /* Misuse of this heap is fatal even where a status could say it.
   * LOAM_ABORT_ON_MISUSE */
  uint32_t abort_on_misuse;
} loam_check_options;

typedef enum loam_cycle_reason LOAM_ENUM_TYPE {
  LOAM_CYCLE_TRIGGER = 0, /* the heap reached its trigger */
  LOAM_CYCLE_REQUESTED,   /* loam_collect */
  LOAM_CYCLE_MEMORY,      /* an allocation could not be served otherwise */
  LOAM_CYCLE_STRESS       /* check.stress_* */
} loam_cycle_reason;

/* One collection. At cycle begin only the first three fields, live_bytes_before
 * and unswept_spans are set. */
typedef struct loam_cycle_info {
  size_t struct_size;
  uint64_t number; /* 1 for the first cycle of a heap */
  loam_cycle_reason reason;
  uint64_t pause_ns;          /* the world stood still this long */
  uint64_t mark_ns;           /* of which marking */
  uint64_t live_bytes_before; /* an upper bound */
  uint64_t live_bytes;        /* bytes of cells marked */
  uint64_t live_objects;
  uint64_t next_trigger_bytes;
  /* Spans that the collecting thread had to sweep before it could begin: what
   * allocation and the background had not swept by then. Set at cycle begin. */
  uint64_t unswept_spans;
} loam_cycle_info;

/* Callbacks. None may allocate on this heap or take a lock that is held across
 * an allocation. Exceptions must not leave them.
 *
 * Of the embedder's functions, inside an allocation may run: these; when it
 * collects, root providers, weak providers, trace and decode functions; when it
 * sweeps, dispose functions of types without LOAM_TYPE_DISPOSE_QUEUED; the
 * `wake` function of loam_finalizers_on_ready; and profile.frames. Finalizers,
 * cleanups, died callbacks and queued dispose functions never do. */
typedef struct loam_callbacks {
  /* No memory, even after a full collection: free something and return nonzero
   * to try once more, or 0 to let the allocation return NULL. May leave by
   * longjmp to a point that calls loam_unwind_to. Same thread as the
   * allocation; `requested` bytes. */
  int (*out_of_memory)(loam_heap* heap, size_t requested, void* data);
  void (*cycle_begin)(loam_heap* heap, const loam_cycle_info* info, void* data);
  void (*cycle_end)(loam_heap* heap, const loam_cycle_info* info, void* data);
  /* One line without the newline; perhaps while the world is stopped, and with
   * LOAM_TRACE_SCAVENGE on the heap's own thread, for which loam_heap_destroy
   * waits. NULL: lines go to standard error. */
  void (*log)(loam_heap* heap, const char* line, void* data);
  /* The message has been printed to standard error; return and the process
   * aborts. */
  void (*fatal)(loam_heap* heap, const char* message, void* data);
  void* data;
} loam_callbacks;

/* What the log hears of besides warnings; bits of loam_options.trace. */
typedef enum loam_trace {
  LOAM_TRACE_GC = 1,      /* each collection: a line */
  LOAM_TRACE_SCAVENGE = 2 /* what the background thread has given back */
} loam_trace;

/* Initialise with loam_options_init, then set what differs. */
typedef struct loam_options {
  size_t struct_size;
  uint32_t abi_version; /* set by loam_options_init, checked by the library */
  uint32_t abi_layout;  /* likewise: a digest of loam_inline.h's offsets */
  const char* name;     /* for messages; NULL: "heap" */
  loam_encoding encoding;
  loam_type_set* types; /* NULL: the heap makes a set of its own */

  loam_policy policy;
  uint32_t gc_percent; /* growth policy. LOAM_GC_PERCENT */
  uint64_t
      minimum_heap_bytes; /* the trigger is never below. LOAM_MINIMUM_HEAP */
  /* Fixed policy: of objects and of records that hang on them
   * (loam_specials.h). LOAM_FIXED_HEAP */
  uint64_t fixed_heap_size;
  /* Hard: committed bytes, metadata included, never exceed it; at least 1 MiB,
   * or 0: none. Not counted are the type set, a page per thread, the workers,
   * the background thread's stack, and what checking needs. LOAM_HEAP_LIMIT */
  uint64_t heap_limit;
  /* Soft: collect more often to stay below. LOAM_MEMORY_LIMIT */
  uint64_t memory_limit;
  /* Nonzero: from 16 MiB on, memory in pages of 2 MiB, where the OS has them.
   * Marking a large heap takes about a tenth less time; first touching memory
   * may take longer, and where free pages lie among used ones the OS may keep
   * both resident. LOAM_HUGE_PAGES */
  uint32_t huge_pages;

  /* Threads that help a collecting thread to mark, when there is much to mark;
   * up to 15. They take no signals (those of the heap's own), and call nothing
   * of yours but trace and decode callbacks. LOAM_WORKERS */
  uint32_t workers;
  /* Where that runs, and what is done in the background: on the embedder's
   * threads, or those of a loam_thread_pool. NULL: threads of the heap's own.
   */
  const loam_platform* platform;
  /* The heap profile samples an allocation for so many bytes, on average;
   * loam_profile.h. LOAM_PROFILE_RATE */
  uint64_t profile_rate;
  loam_profile_options profile; /* its call stacks */
  uintptr_t arena_hint; /* where to place the first arena; 0: the default */
  uint32_t raw_stores;  /* nonzero: stores need not use the store functions */
  /* What weak and ephemeron words hold when what they referred to has died. */
  loam_word weak_cleared_word;
  uint32_t trace; /* of loam_trace. LOAM_TRACE=gc,scavenge */
  /* Nonzero: loam_heap_destroy runs what is left: what is queued, and the
   * finalizers, cleanups and callbacks of all objects, alive or not, on its
   * thread, with a mutator of its own. What callbacks set meanwhile runs in
   * another round, of which there are eight. LOAM_FINALIZE_AT_DESTROY */
  uint32_t finalize_at_destroy;

  /* Free memory that a heap keeps: so many percent over what the next
   * collection will find, or, when it has not allocated for five seconds, over
   * what is live. The rest goes back to the OS in the background, with at most
   * a hundredth of one processor. LOAM_RETAIN_PERCENT */
  uint32_t retain_percent;
  /* Nonzero: nothing is done in the background. What is dead is found as the
   * program allocates and collects; memory goes back when
   * loam_heap_release_memory is called. Otherwise a heap of some mebibytes
   * starts a thread, unless it has a platform, after the first collection that
   * leaves something to do. The thread takes no signals, and calls nothing of
   * yours but the log callback, the function of loam_finalizers_on_ready, and
   * dispose functions of types without LOAM_TYPE_DISPOSE_QUEUED.
   * LOAM_BACKGROUND=0 */
  uint32_t no_background;
  /* Nonzero: the heap lies at a random address, up to 256 GiB above the default
   * or arena_hint, and begins at a random page of it, so that neither an
   * object's address nor its place in an arena can be guessed.
   * LOAM_RANDOMIZE_BASE */
  uint32_t randomize_base;
  loam_check_options check;
  loam_callbacks callbacks;
} loam_options;

/* The defaults: growth by 100 % over the live bytes from 4 MiB on, plain
 * pointers as values, no limits but the container's. */
static inline void loam_options_init(loam_options* options) {
  memset(options, 0, sizeof(*options));
  options->struct_size = sizeof(*options);
  options->abi_version = LOAM_ABI_VERSION;
  options->abi_layout = loam_abi_layout();
  options->gc_percent = LOAM_GC_PERCENT_DEFAULT;
  options->minimum_heap_bytes = LOAM_MINIMUM_HEAP_DEFAULT;
  options->retain_percent = LOAM_RETAIN_PERCENT_DEFAULT;
  options->memory_limit = LOAM_MEMORY_LIMIT_CGROUP;
  options->profile_rate = LOAM_PROFILE_RATE_DEFAULT;
}

/* Creates a heap. Errors: LOAM_ABI_MISMATCH, LOAM_INVALID_ARGUMENT (an option
 * out of range, an environment variable that cannot be read),
 * LOAM_NOT_SUPPORTED (an option of a later version; or this machine, whose
 * pages or addresses are not those that the library is compiled for, as the
 * message says), LOAM_OUT_OF_MEMORY. */
LOAM_API loam_status loam_heap_create(const loam_options* options,
                                      loam_heap** heap);

/* Destroys a heap and all its objects: calls the dispose functions of their
 * types, and finalizers and cleanups if options.finalize_at_destroy asks for
 * it; otherwise those that have not run are dropped. LOAM_WRONG_STATE while
 * mutators are attached (the runner's does not count). */
LOAM_API loam_status loam_heap_destroy(loam_heap* heap);

/* The set given at creation, or the heap's own. */
LOAM_API loam_type_set* loam_heap_types(loam_heap* heap);

/* Changeable later, with effect at once. A heap_limit below what is committed
 * gives free memory back to the OS, now and as more of it becomes free. */
LOAM_API loam_status loam_heap_set_gc_percent(loam_heap* heap,
                                              uint32_t percent);
LOAM_API loam_status loam_heap_set_fixed_size(loam_heap* heap, uint64_t bytes);
LOAM_API loam_status loam_heap_set_heap_limit(loam_heap* heap, uint64_t bytes);
LOAM_API loam_status loam_heap_set_memory_limit(loam_heap* heap,
                                                uint64_t bytes);

/* Prints every option with its effective value and where it came from. */
LOAM_API void loam_heap_options_print(loam_heap* heap, FILE* out);

/* The heap's last failure message; "" before the first. Valid until the heap's
 * next failing call. */
LOAM_API const char* loam_heap_last_error(loam_heap* heap);

typedef enum loam_collect_kind LOAM_ENUM_TYPE {
  /* Returns when marking and sweeping are complete: everything dead is freed,
   * or on the finalizer queue (loam_finalizers_run). */
  LOAM_COLLECT_FULL = 0
} loam_collect_kind;

/* Safepoint. LOAM_WRONG_STATE while collections are disabled. */
LOAM_API loam_status loam_collect(loam_mutator* m, loam_collect_kind kind);

/* Nests, per mutator; while any mutator has it disabled no collection starts,
 * and allocation may reach the limit. */
LOAM_API void loam_gc_disable(loam_mutator* m);
LOAM_API loam_status loam_gc_enable(loam_mutator* m);

/* Reports bytes that objects hold outside the heap; they feed the trigger. The
 * total never falls below zero. Not a safepoint. */
LOAM_API void loam_external_adjust(loam_mutator* m, int64_t bytes);

/* Gives free pages back to the OS; returns the bytes given back. */
LOAM_API size_t loam_heap_release_memory(loam_heap* heap);

/* ---- Pages without objects --------------------------------------------- */

/* Memory for what is not an object but belongs to the heap: a VM's stack, a
 * table of handles. It counts as committed, so heap_limit bounds it (and a heap
 * of fixed size has that much less for objects), and it goes with the heap.
 * `bytes` is rounded up to pages of 8 KiB. The memory is zeroed, and begins at
 * a multiple of `alignment`, a power of two up to LOAM_PAGES_ALIGNMENT_MAX, and
 * of 8 KiB at least. It is the caller's until loam_pages_free.
 *
 * The collector neither frees these pages nor looks into them: references there
 * are found if they are registered as roots, or visited by a root provider. One
 * to such a page is like one to memory outside the heap.
 *
 * Any thread, attached or not, in any state; no safepoint, and no collection:
 * LOAM_OUT_OF_MEMORY says that there is no room now. LOAM_INVALID_ARGUMENT: a
 * NULL, `bytes` 0, another alignment. */
#define LOAM_PAGES_ALIGNMENT_MAX ((size_t)64 << 20)
LOAM_API loam_status loam_pages_allocate(loam_heap* heap, size_t bytes,
                                         size_t alignment, void** pages);

/* Gives them back, all that one call allocated. Roots in them have been
 * removed. Any thread. LOAM_INVALID_ARGUMENT: no such pages begin there, or
 * they have been given back already. */
LOAM_API loam_status loam_pages_free(loam_heap* heap, void* pages);

/* ---- fork -------------------------------------------------------------- */

/* Call prepare before fork(), then _parent or _child on the same thread. The
 * child's heap has one mutator, `m`; others are gone. */
LOAM_API loam_status loam_fork_prepare(loam_mutator* m);
LOAM_API void loam_fork_parent(loam_mutator* m);
LOAM_API void loam_fork_child(loam_mutator* m);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_API_LOAM_HEAP_H_ */
