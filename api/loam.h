/* loam: a precise, garbage-collected heap for language runtimes.
 *
 * This header is the whole C API. It is split by subject:
 *
 *   loam_types.h     statuses, word kinds, value encodings, object types
 *   loam_heap.h      heaps, options, limits, collections, pages
 *   loam_mutator.h   mutators (threads), safepoints, allocation, stores
 *   loam_roots.h     roots, providers, frames, handles, fibers
 *   loam_specials.h  finalizers, cleanups, pins, weak handles
 *   loam_weak.h      weak words, ephemerons, weak maps
 *   loam_inspect.h   statistics, heap walks, maps, checks
 *   loam_profile.h   the heap profile
 *   loam_inline.h    the fast paths, inlined; define LOAM_NO_INLINE before
 *                    including this header to call the library instead
 *
 * Conventions, for every function unless its comment says otherwise:
 *
 *   - Sizes and offsets are bytes; times are nanoseconds.
 *   - Errors are loam_status; out-parameters come last and are written only
 *     when the result is LOAM_OK. An allocation returns NULL when out of
 *     memory and for no other reason.
 *   - A function taking a `loam_mutator *` is called on the thread that uses
 *     that mutator, in its running (not native) state. All others may be
 *     called on any thread.
 *   - "Safepoint": a collection may happen inside the call, on this heap and
 *     on every other heap in which this thread runs. Whatever is not reachable
 *     from a root may be gone afterwards. Functions that do not say so are not
 *     safepoints.
 *   - Strings passed in are copied; strings returned live as long as the
 *     object they describe.
 *   - Misuse is answered by LOAM_INVALID_ARGUMENT or LOAM_WRONG_STATE, with a
 *     message that names the call and the argument (loam_heap_last_error), or
 *     by a fatal message where no status can be returned. With
 *     `options.check.abort_on_misuse` it is always fatal, but for calls on a
 *     type set, which belongs to no heap.
 */
#ifndef LOAM_API_LOAM_H_
#define LOAM_API_LOAM_H_

#define LOAM_VERSION_MAJOR 0
#define LOAM_VERSION_MINOR 1
#define LOAM_VERSION_PATCH 0

#include "api/loam_heap.h"
#include "api/loam_inline.h"
#include "api/loam_inspect.h"
#include "api/loam_mutator.h"
#include "api/loam_platform.h"
#include "api/loam_profile.h"
#include "api/loam_roots.h"
#include "api/loam_specials.h"
#include "api/loam_types.h"
#include "api/loam_weak.h"

#endif /* LOAM_API_LOAM_H_ */
