/* The heap profile: where the program allocates, and what of it is in use. */
#ifndef LOAM_API_LOAM_PROFILE_H_
#define LOAM_API_LOAM_PROFILE_H_

#include "api/loam_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A heap samples allocations at random, on average one for so many bytes, and
 * remembers the call stack of each for as long as the heap exists; and for as
 * long as the object lives, that it is in use. Off: 0; every object: 1. At most
 * LOAM_PROFILE_RATE_MAX.
 *
 * What it remembers is memory of the heap's own: a few hundred bytes for each
 * call stack, type and size, of up to 65,536, and 16 MiB at most, or a 32nd of
 * heap_limit if that is less. What comes later is counted by type and size
 * only, under the function "(unknown call stack)", as is a sample whose call
 * stack cannot be read. */
#define LOAM_PROFILE_RATE_DEFAULT ((uint64_t)512 << 10)
#define LOAM_PROFILE_RATE_MAX ((uint64_t)1 << 40)

/* One call of a function of the embedder's language. */
typedef struct loam_profile_frame {
  /* Which function: a number or address of your own that means the same as long
   * as the heap exists. No object of the heap, since it keeps nothing alive;
   * rather an index into a table of all functions that there have been. */
  loam_word function;
  /* The line that is being executed; 0: unknown. */
  uint32_t line;
} loam_profile_frame;

/* What that function is called. */
typedef struct loam_profile_function {
  const char* name;    /* NULL: a number in its place */
  const char* file;    /* NULL: unknown */
  uint32_t first_line; /* 0: unknown */
} loam_profile_function;

/* Which frames a sample has.
 *
 * Native frames are read from the stack that the thread is on, with the help of
 * what is remembered of earlier samples. So destroy a fiber (loam_fiber) before
 * you give back the memory of its stack. */
typedef enum loam_profile_stacks LOAM_ENUM_TYPE {
  /* Those that the `frames` callback gives, if there are any, as called by the
   * functions on the thread's native stack. */
  LOAM_PROFILE_STACKS_BOTH = 0,
  /* Those that the callback gives; native ones only where it gives none. What
   * the interpreter is made of does not show, and taking a sample is cheaper.
   */
  LOAM_PROFILE_STACKS_EMBEDDER
} loam_profile_stacks;

/* Part of loam_options. Without callbacks, call stacks are native ones. */
typedef struct loam_profile_options {
  /* Writes the calls that the thread of `m` is in, innermost first, up to
   * `max`, and returns how many. Called inside an allocation that is sampled,
   * on its thread, on the stack it runs on. Must not call loam, and may look at
   * objects of the heap only. May be NULL. */
  size_t (*frames)(loam_mutator* m, loam_profile_frame* frames, size_t max,
                   void* data);
  /* Says what a function is called: called while a profile is written, once for
   * each function in it, on the thread that writes it, perhaps while others
   * allocate. The strings must be good until the next call. Must not call loam.
   * May be NULL if `frames` is. */
  void (*describe)(loam_word function, loam_profile_function* description,
                   void* data);
  void* data;
  loam_profile_stacks stacks;
} loam_profile_options;

/* Changes options.profile_rate, for what is allocated from now on; each thread
 * notices when it has used up the cells it has got of a kind, a span at most.
 * What has been sampled stays in the profile, with its weight.
 * LOAM_INVALID_ARGUMENT above LOAM_PROFILE_RATE_MAX. Any thread. */
LOAM_API loam_status loam_heap_set_profile_rate(loam_heap* heap, uint64_t rate);

/* Writes the profile to a file, in the format of pprof (not compressed):
 *
 *   go tool pprof -top heap.pprof
 *   go tool pprof -sample_index=alloc_space -tree heap.pprof
 *
 * Samples have four values, alloc_objects, alloc_space, inuse_objects and
 * inuse_space, and the labels "type" (a type's name; "bytes", "slots", "object
 * with a bitmap" or "ambiguous words" without one; "ephemeron", "weak map" and
 * "weak map entries") and "bytes" (the size of its cell). Values are estimates
 * of all that has been allocated, from what was sampled: unbiased, with a
 * standard deviation of about sqrt(rate / bytes) of the figure. Sizes are those
 * of cells, as loam_object_size rounds them up and with a type word where there
 * is one; byte objects below 16 bytes that share a cell are one object.
 *
 * The profile tells of one moment, so that what is in use is what was allocated
 * less what had died: the end of the last collection. (Or of the one before,
 * if the next begins while the profile is written.) Before the first one, it
 * tells of now, and nothing has died. For figures of now, call loam_collect
 * first.
 *
 * Any thread, attached or not; not a safepoint, and the world goes on. Sweeps
 * what the last collection has left to sweep, as allocations would. Names of
 * native functions are read from the symbol tables of the program and of what
 * it has loaded: of a stripped program, only those it exports. Takes about 30
 * KiB of the thread's stack, beside what `describe` takes. `path` names a file,
 * replaced if it is there; until the new one is complete it stays as it was.
 * Errors: LOAM_INVALID_ARGUMENT (NULL), LOAM_IO_ERROR, LOAM_OUT_OF_MEMORY (of
 * the OS, for tables). */
LOAM_API loam_status loam_heap_profile_write(loam_heap* heap, const char* path);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_API_LOAM_PROFILE_H_ */
