/* Weak words, ephemerons, weak maps, weak providers.
 *
 * A weak word of an object (LOAM_WEAK_VALUE, LOAM_WEAK_POINTER in its type)
 * keeps nothing alive. When what it refers to has died it holds
 * options.weak_cleared_word.
 *
 * The ephemeron words of an object's fixed part, or of one element of its
 * array, are one record: its values (LOAM_EPHEMERON_VALUE) are alive only if
 * the object and all objects that its keys (LOAM_EPHEMERON_KEY) refer to are
 * alive otherwise: not because of the values. When a key has died, all keys and
 * values of the record become options.weak_cleared_word. Both are decoded like
 * LOAM_VALUE. A key that refers to no object of the heap never dies.
 *
 * Cleared is what cannot be reached from the roots. What an object with an
 * ordered finalizer refers to counts as reachable as long as that waits; the
 * object itself does not.
 *
 * To an object of a type with LOAM_TYPE_NEVER_CLEARED all of this is strong.
 */
#ifndef LOAM_API_LOAM_WEAK_H_
#define LOAM_API_LOAM_WEAK_H_

#include "api/loam_roots.h"
#include "api/loam_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Weak and ephemeron words ------------------------------------------ */

/* Stores into a weak or ephemeron word of `object`. */
LOAM_API void loam_store_weak(loam_mutator* m, void* object, void* slot,
                              loam_word word);
/* What such a word holds: the cleared word, or what was stored, which is alive
 * until the caller's next safepoint, and from there on if it is rooted. */
LOAM_API loam_word loam_load_weak(loam_mutator* m, void* object, void* slot);

/* ---- Ephemerons -------------------------------------------------------- */

/* An object with one key and one value. NULL when out of memory; `key` and
 * `value` are rooted meanwhile. Safepoint. */
LOAM_API void* loam_ephemeron_new(loam_mutator* m, loam_word key,
                                  loam_word value);
LOAM_API loam_word loam_ephemeron_key(loam_mutator* m, void* ephemeron);
LOAM_API loam_word loam_ephemeron_value(loam_mutator* m, void* ephemeron);

/* ---- Weak maps --------------------------------------------------------- */

/* A map, itself an object, from the identities of objects (or any other words)
 * to values: an entry is there as long as its key is alive otherwise. One
 * thread at a time uses a map; threads that share one need a lock.
 *
 * A key is a LOAM_VALUE word and not 0 nor options.weak_cleared_word
 * (LOAM_INVALID_ARGUMENT), and the same word each time. */

/* NULL when out of memory. Safepoint. */
LOAM_API void* loam_weak_map_new(loam_mutator* m);
/* Sets or replaces. Safepoint; `map`, `key` and `value` are rooted meanwhile.
 * LOAM_OUT_OF_MEMORY: the map is as before. */
LOAM_API loam_status loam_weak_map_set(loam_mutator* m, void* map,
                                       loam_word key, loam_word value);
/* LOAM_NOT_FOUND, without a message, if there is no entry. */
LOAM_API loam_status loam_weak_map_get(loam_mutator* m, void* map,
                                       loam_word key, loam_word* value);
LOAM_API loam_status loam_weak_map_remove(loam_mutator* m, void* map,
                                          loam_word key);
/* Entries whose keys have not died, as far as the last collection knows. Looks
 * at all. */
LOAM_API size_t loam_weak_map_count(loam_mutator* m, void* map);
/* Calls visit for every entry, in the order in which the keys came, until it
 * returns 0. It must not be a safepoint, nor change the map. */
LOAM_API void loam_weak_map_walk(loam_mutator* m, void* map,
                                 int (*visit)(loam_word key, loam_word value,
                                              void* data),
                                 void* data);

/* ---- Weak providers ---------------------------------------------------- */

/* `fn` is called once in each cycle, when marking is done, before finalizers
 * are queued: it may drop what has died from the embedder's own tables and
 * inline caches. It asks loam_weak_is_live about each; it visits nothing, and
 * calls nothing else of loam. The world is stopped. Removed by
 * loam_root_remove. */
LOAM_API loam_status loam_weak_provider_add(loam_heap* heap,
                                            loam_root_provider_fn fn,
                                            void* data, const char* name,
                                            loam_root** root);
/* Whether the object that a LOAM_VALUE word refers to is alive; 1 also if it
 * refers to none. For weak providers. All answers of a cycle are of one moment:
 * what an object of a type with LOAM_TYPE_NEVER_CLEARED refers to may be
 * reported dead and live on, if a provider's question about that object is what
 * keeps it. */
LOAM_API int loam_weak_is_live(loam_visitor* visitor, loam_word word);
/* The same of a plain address. */
LOAM_API int loam_weak_is_live_pointer(loam_visitor* visitor,
                                       const void* target);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_API_LOAM_WEAK_H_ */
