/* Threads for what heaps do beside their mutators: helping to mark, sweeping,
 * giving memory back. A heap makes threads of its own when it needs them; with
 * a platform it uses the embedder's, or those of a pool that many heaps share.
 */
#ifndef LOAM_API_LOAM_PLATFORM_H_
#define LOAM_API_LOAM_PLATFORM_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/loam_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*loam_task_fn)(void* argument);

/* The embedder's own threads. Initialise with loam_platform_init. Copied by
 * loam_heap_create; what `data` points to outlives the heap and its tasks. */
typedef struct loam_platform {
  size_t struct_size;
  /* Has task(argument) run once, `delay_ns` nanoseconds from now or later, on
   * another thread, with no lock held that `post` takes. Nonzero: it will run,
   * also if the heap ends before (it finds that out); loam_heap_destroy may
   * wait for one without delay. 0: it will not; the heap does without. Called
   * on any thread, also while the world is stopped; must not call loam, nor
   * run the task itself, nor wait for a task. A task takes about a millisecond
   * at most, or as long as marking does. */
  int (*post)(loam_task_fn task, void* argument, uint64_t delay_ns, void* data);
  void* data;
} loam_platform;

static inline void loam_platform_init(loam_platform* platform) {
  memset(platform, 0, sizeof(*platform));
  platform->struct_size = sizeof(*platform);
}

/* A pool of `threads` threads, 1 to 64, that take no signals. Errors:
 * LOAM_INVALID_ARGUMENT, LOAM_OUT_OF_MEMORY (or no more threads to be had). */
typedef struct loam_thread_pool loam_thread_pool;
LOAM_API loam_status loam_thread_pool_create(uint32_t threads,
                                             loam_thread_pool** pool);
/* LOAM_WRONG_STATE while a heap uses it. */
LOAM_API loam_status loam_thread_pool_destroy(loam_thread_pool* pool);
/* Writes what loam_options.platform may point to. */
LOAM_API void loam_thread_pool_platform(loam_thread_pool* pool,
                                        loam_platform* platform);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_API_LOAM_PLATFORM_H_ */
