/* Mutators, safepoints, allocation and stores. */
#ifndef LOAM_API_LOAM_MUTATOR_H_
#define LOAM_API_LOAM_MUTATOR_H_

#include "api/loam_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Threads ----------------------------------------------------------- */

/* Attaches the calling thread, in running state; waits while the world is
 * stopped. A thread may have one mutator per heap, and mutators on several
 * heaps. `name` may be NULL. LOAM_WRONG_STATE if the thread has one on this
 * heap already, LOAM_OUT_OF_MEMORY. */
LOAM_API loam_status loam_mutator_attach(loam_heap* heap, const char* name,
                                         loam_mutator** m);

/* Ends the mutator. Its frames, handles and providers go with it.
 * LOAM_WRONG_STATE in native state, with collections disabled by it, while it
 * stopped the world, or on a fiber. */
LOAM_API loam_status loam_mutator_detach(loam_mutator* m);

/* The calling thread's mutator on this heap (running or native), or NULL. */
LOAM_API loam_mutator* loam_mutator_current(loam_heap* heap);
LOAM_API loam_heap* loam_mutator_heap(const loam_mutator* m);

/* Four words that belong to the embedder; `index` 0 to 3. */
LOAM_API void** loam_mutator_user_word(loam_mutator* m, unsigned index);

/* Safepoint: one load and one branch when nobody wants to stop the world. Call
 * it in every loop that does not allocate. */
LOAM_API void loam_safepoint(loam_mutator* m);

/* Bracket everything that blocks: between the two the thread touches no memory
 * of the heap and calls no function that takes `m`, and collections do not wait
 * for it. They nest. In native state the mutator may be handed to another
 * thread, which calls leave; leave is a safepoint. */
LOAM_API void loam_enter_native(loam_mutator* m);
LOAM_API loam_status loam_leave_native(loam_mutator* m);

/* fn(data) in native state. Safepoint. */
LOAM_API void loam_call_native(loam_mutator* m, void (*fn)(void* data),
                               void* data);

/* Stops every other mutator of the heap at a safepoint, until start. The caller
 * may do everything it could before, collecting included, but must not block;
 * a stop is like a lock, so neither attach to another heap nor leave native
 * state in one whose stopper may wait for this heap. Two threads that each stop
 * several heaps in different orders do not block each other: one steps back
 * before its call returns. Stop is a safepoint. */
LOAM_API loam_status loam_stop_the_world(loam_mutator* m);
LOAM_API loam_status loam_start_the_world(loam_mutator* m);

/* ---- Allocating -------------------------------------------------------- */

/* Every allocation is a safepoint. Memory is handed out zeroed; objects never
 * move. Addresses are aligned to 16 bytes from 16 bytes on, to 8 below, and to
 * the type's alignment. NULL means out of memory (sizes that overflow included)
 * and nothing else. */

/* An object of a fixed-size type; for a type with a trailing array, one without
 * elements. */
LOAM_API void* loam_alloc(loam_mutator* m, const loam_type* type);

/* An object of a type with a trailing array, with room for `count` elements. */
LOAM_API void* loam_alloc_array(loam_mutator* m, const loam_type* type,
                                size_t count);

/* Memory without references and without a type. */
LOAM_API void* loam_alloc_bytes(loam_mutator* m, size_t size);

/* The same with any content, old data perhaps: for buffers that are filled at
 * once. Makes a difference above 32 KiB, where zeroing is what allocation
 * costs; smaller ones are zeroed all the same. */
LOAM_API void* loam_alloc_bytes_unzeroed(loam_mutator* m, size_t size);

/* `count` words, each a LOAM_VALUE. */
LOAM_API void* loam_alloc_slots(loam_mutator* m, size_t count);

/* `size` bytes; bit i of pointer_bits (value_bits) says that word i is a
 * LOAM_POINTER (LOAM_VALUE). Either may be NULL: none. The bits are copied. */
LOAM_API void* loam_alloc_bitmap(loam_mutator* m, size_t size,
                                 const uint64_t* pointer_bits,
                                 const uint64_t* value_bits);

/* `count` words of unknown content: each keeps alive what it happens to hit. */
LOAM_API void* loam_alloc_ambiguous(loam_mutator* m, size_t count);

/* `count` objects of a fixed-size type at once, written to `out`; returns how
 * many there was memory for. One safepoint, before the first: `out` need not be
 * rooted until the next. */
LOAM_API size_t loam_alloc_many(loam_mutator* m, const loam_type* type,
                                size_t count, void** out);

/* An object that is never collected: a root by nature. */
LOAM_API void* loam_alloc_immortal(loam_mutator* m, const loam_type* type);

/* Forms that never collect and are never safepoints: NULL where the memory at
 * hand does not suffice. */
LOAM_API void* loam_try_alloc(loam_mutator* m, const loam_type* type);
LOAM_API void* loam_try_alloc_array(loam_mutator* m, const loam_type* type,
                                    size_t count);
LOAM_API void* loam_try_alloc_bytes(loam_mutator* m, size_t size);
LOAM_API void* loam_try_alloc_slots(loam_mutator* m, size_t count);

/* Resizes an object of loam_alloc_bytes: in place where the cell has room,
 * otherwise into a new object with the old content; bytes past the old size are
 * zero. `buffer` may be NULL. Safepoint: `buffer` must be rooted, and is an
 * object of its own still if the result differs. NULL when out of memory. */
LOAM_API void* loam_resize_bytes(loam_mutator* m, void* buffer, size_t old_size,
                                 size_t new_size);

/* The type of an object of this heap; NULL for objects without one (bytes,
 * slots, bitmap, ambiguous). Interior addresses will do. */
LOAM_API const loam_type* loam_type_of(loam_heap* heap, const void* object);

/* ---- Storing ----------------------------------------------------------- */

/* Every reference an object holds is written through these. `object` is the
 * object that contains `slot` (its base address, or that of static memory that
 * is registered as a root). */
LOAM_API void loam_store_value(loam_mutator* m, void* object, void* slot,
                               loam_word word);
LOAM_API void loam_store_pointer(loam_mutator* m, void* object, void* slot,
                                 const void* target);

/* The same, into an object allocated since the last safepoint. */
LOAM_API void loam_store_value_init(loam_mutator* m, void* object, void* slot,
                                    loam_word word);
LOAM_API void loam_store_pointer_init(loam_mutator* m, void* object, void* slot,
                                      const void* target);

/* Atomic forms, sequentially consistent. exchange returns the old word;
 * compare_exchange returns nonzero if it stored, and otherwise writes what it
 * found to *expected. */
LOAM_API loam_word loam_exchange_value(loam_mutator* m, void* object,
                                       void* slot, loam_word word);
LOAM_API void* loam_exchange_pointer(loam_mutator* m, void* object, void* slot,
                                     const void* target);
LOAM_API int loam_compare_exchange_value(loam_mutator* m, void* object,
                                         void* slot, loam_word* expected,
                                         loam_word word);
LOAM_API int loam_compare_exchange_pointer(loam_mutator* m, void* object,
                                           void* slot, void** expected,
                                           const void* target);

/* memmove of `count` words to `destination`, inside `object`; each word moves
 * whole, so that a concurrent reader sees the old or the new. */
LOAM_API void loam_copy_slots(loam_mutator* m, void* object, void* destination,
                              const void* source, size_t count);
/* Zeroes `count` words of `object`. */
LOAM_API void loam_clear_slots(loam_mutator* m, void* object, void* slots,
                               size_t count);

/* Into registered roots, memory of heap-wide providers, and the stacks of
 * fibers that are not current. */
LOAM_API void loam_root_store_value(loam_mutator* m, void* slot,
                                    loam_word word);
LOAM_API void loam_root_store_pointer(loam_mutator* m, void* slot,
                                      const void* target);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LOAM_API_LOAM_MUTATOR_H_ */
