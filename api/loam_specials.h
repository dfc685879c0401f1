/* What hangs on single objects: finalizers, cleanups, pins, weak handles,
 * watches, words of the embedder's own.
 *
 * None of it needs room in the object or is known to its type. `object` is any
 * object of the heap, and may be an address inside it; but byte objects of up
 * to 16 bytes may share a cell and live and die together: there each has its
 * own (but for pins), and is named by the very address that the allocation
 * returned.
 *
 * All functions here: LOAM_INVALID_ARGUMENT if no object lives at `object`,
 * LOAM_OUT_OF_MEMORY if there is none for the record (32 to 112 bytes, most of
 * them at most 64, and 24 more for a weak handle or watch; records count as
 * part of the heap). They are not safepoints unless they say so, and
 * may be called on any object by any thread, also while others sweep.
 *
 * What happens when an object dies, in this order:
 *
 *   at the end of marking   weak words, weak globals, weak handles of it are
 *                           cleared. Unordered finalizers are queued
 *   when it is swept        its ordered finalizer is queued; it stays for one
 *                           more cycle
 *   when no finalizer       long weak handles are cleared; cleanups and died
 *   keeps it                callbacks are queued; dispose is called; its
 *                           memory is reused
 */
#ifndef LOAM_API_LOAM_SPECIALS_H_
#define LOAM_API_LOAM_SPECIALS_H_

#include "api/loam_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Finalizers -------------------------------------------------------- */

typedef enum loam_finalizer_mode LOAM_ENUM_TYPE {
  /* A finalizable object keeps what it refers to alive, so a chain is finalized
   * one link per cycle from its head, and a cycle never. */
  LOAM_FINALIZER_ORDERED = 0,
  /* Everything that was found dead in a cycle at once, whatever refers to what,
   * newest registration first. An object may find others, to which it refers,
   * finalized before it. */
  LOAM_FINALIZER_UNORDERED
} loam_finalizer_mode;

/* Runs inside loam_finalizers_run, on its thread; may allocate, store, collect,
 * set finalizers (this object's too), make the object reachable again, or leave
 * by longjmp to a point that calls loam_unwind_to. `object` is rooted during
 * the call, and an ordinary object again afterwards. */
typedef void (*loam_finalizer_fn)(loam_mutator* m, void* object, void* data);

/* Sets the finalizer of an object, one per object (else LOAM_WRONG_STATE): when
 * the object is found dead it is kept for one more cycle, and the call queued.
 * `data` is passed on as it is: no root. */
LOAM_API loam_status loam_finalizer_set(loam_mutator* m, void* object,
                                        loam_finalizer_fn fn, void* data,
                                        loam_finalizer_mode mode);
/* LOAM_NOT_FOUND if it has none, or has been queued already. */
LOAM_API loam_status loam_finalizer_clear(loam_mutator* m, void* object);

/* ---- Running what is queued -------------------------------------------- */

/* Runs up to `max` of the calls that are queued (0: as many as are on entry):
 * finalizers, cleanups, died callbacks, and last the dispose functions of types
 * with LOAM_TYPE_DISPOSE_QUEUED. In the order in which they were queued; of
 * several threads that do this at once each takes the next. Writes how many ran
 * and how many wait; either may be NULL. Safepoint. */
LOAM_API loam_status loam_finalizers_run(loam_mutator* m, size_t max,
                                         size_t* ran, size_t* waiting);

/* `wake` is called when something is queued and nothing was, on the thread that
 * sweeps (the heap's own perhaps, or a platform's), perhaps while the world is
 * stopped: it must not call loam, nor take a lock that anybody holds across a
 * call of loam. NULL to stop. Waits for a call of the function that was set
 * before, if one is under way: not from within it. */
LOAM_API void loam_finalizers_on_ready(loam_heap* heap,
                                       void (*wake)(void* data), void* data);

/* Starts a thread of the heap's own, with a mutator, that runs what is queued
 * whenever there is something. It takes no signals. LOAM_WRONG_STATE if it runs
 * already; LOAM_OUT_OF_MEMORY if there is no thread to be had. After a fork the
 * child has none. */
LOAM_API loam_status loam_finalizers_start_runner(loam_heap* heap);
/* Waits for the call that it is at, and ends it. Destroying the heap does the
 * same. Not from what it runs. Safepoint, if the thread has a mutator.
 * LOAM_WRONG_STATE if none runs. */
LOAM_API loam_status loam_finalizers_stop_runner(loam_heap* heap);

/* ---- Cleanups ---------------------------------------------------------- */

/* Runs inside loam_finalizers_run, like a finalizer. `value` is rooted during
 * the call. */
typedef void (*loam_cleanup_fn)(loam_mutator* m, loam_word value, void* data);

/* One that has been added; may be copied, and used after it has run. */
typedef struct loam_cleanup {
  uintptr_t address;
  uint64_t serial;
} loam_cleanup;

/* Adds a cleanup to an object, which may have any number: when the object is
 * gone for good, each is called once with its `value`, a LOAM_VALUE word that
 * is a root until then. The object itself is not kept: if `value` refers to it,
 * or to something that does, it never dies. `data` is passed on as it is.
 * `cleanup` may be NULL. */
LOAM_API loam_status loam_cleanup_add(loam_mutator* m, void* object,
                                      loam_cleanup_fn fn, loam_word value,
                                      void* data, loam_cleanup* cleanup);
/* It will not be called. LOAM_NOT_FOUND if it is queued, has run or was stopped
 * before. The object may be dead. */
LOAM_API loam_status loam_cleanup_stop(loam_mutator* m,
                                       const loam_cleanup* cleanup);

/* ---- Pins -------------------------------------------------------------- */

/* Pins an object: it is alive until it has been unpinned as often, without any
 * reference to it, and native code may use its memory, in native state too. */
LOAM_API loam_status loam_pin(loam_mutator* m, void* object);
/* Any thread may unpin what another has pinned. LOAM_NOT_FOUND if it is not
 * pinned. */
LOAM_API loam_status loam_unpin(loam_mutator* m, void* object);

/* ---- Weak handles ------------------------------------------------------ */

typedef struct loam_weak_handle loam_weak_handle;

typedef enum loam_weak_handle_kind LOAM_ENUM_TYPE {
  /* Cleared when the object is found dead, before its finalizer is queued. */
  LOAM_WEAK_SHORT = 0,
  /* Cleared when it is gone for good: so it finds an object whose finalizer
   * waits, or has made it reachable again. */
  LOAM_WEAK_LONG
} loam_weak_handle_kind;

/* The handle of the place at `object`, an address in an object, to be destroyed
 * as often as it was created. It is one and the same for all who ask for the
 * same address and kind while the object lives: equal handles mean the same
 * object. To an object of a type with LOAM_TYPE_NEVER_CLEARED it is strong. */
LOAM_API loam_status loam_weak_handle_create(loam_mutator* m, void* object,
                                             loam_weak_handle_kind kind,
                                             loam_weak_handle** handle);
/* The address, or NULL if the object has died. May sweep a span. What it
 * returns is alive until the caller's next safepoint, and from there on if it
 * is rooted. */
LOAM_API void* loam_weak_handle_get(loam_mutator* m,
                                    const loam_weak_handle* handle);
LOAM_API loam_status loam_weak_handle_destroy(loam_mutator* m,
                                              loam_weak_handle* handle);

/* ---- Watches: for tests ------------------------------------------------ */

/* "Did the next collection find it?" */
typedef struct loam_watch loam_watch;

typedef enum loam_watch_state LOAM_ENUM_TYPE {
  LOAM_WATCH_WAITING = 0, /* there has been no collection since */
  LOAM_WATCH_REACHED,     /* the next one found the object reachable */
  LOAM_WATCH_UNREACHED    /* it did not; a finalizer may keep it all the same */
} loam_watch_state;

LOAM_API loam_status loam_watch_create(loam_mutator* m, void* object,
                                       loam_watch** watch);
LOAM_API loam_watch_state loam_watch_get(loam_mutator* m,
                                         const loam_watch* watch);
LOAM_API loam_status loam_watch_destroy(loam_mutator* m, loam_watch* watch);

/* ---- Words of the embedder's ------------------------------------------- */

/* A kind of word that objects may have, one each: an identity, an inspector's
 * mark, a wrapper in another language. Lives as long as the heap. */
typedef struct loam_special_kind loam_special_kind;

/* Runs inside loam_finalizers_run, like a cleanup, for each object that had a
 * word of the kind when it died. `word` is passed on as it is: no root. */
typedef void (*loam_special_died_fn)(loam_mutator* m, loam_word word,
                                     void* data);

/* `died` may be NULL. */
LOAM_API loam_status loam_special_kind_create(loam_heap* heap,
                                              loam_special_died_fn died,
                                              void* data,
                                              loam_special_kind** kind);
/* Sets or replaces the object's word of the kind. */
LOAM_API loam_status loam_special_set(loam_mutator* m, void* object,
                                      loam_special_kind* kind, loam_word word);
/* LOAM_NOT_FOUND, without a message, if it has none. */
LOAM_API loam_status loam_special_get(loam_mutator* m, void* object,
                                      const loam_special_kind* kind,
                                      loam_word* word);
/* The same, and takes it away: died is not called for it. `word` may be
 * NULL. */
LOAM_API loam_status loam_special_remove(loam_mutator* m, void* object,
                                         const loam_special_kind* kind,
                                         loam_word* word);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_API_LOAM_SPECIALS_H_ */
