// Objects of types whose dispose functions the embedder wants to call itself
// (LOAM_TYPE_DISPOSE_QUEUED): two bits for each cell of a span that has some.
//
//   waiting  disposed
//   0        0         alive, or free
//   1        0         dead, its dispose function has not been called: each
//                      sweep marks the cell again. Its references have been
//                      cleared, so nothing it refers to can be missing
//   0        1         the function has been, or is being, called: the next
//                      sweep that finds the cell unmarked frees it
//
// So no object needs a record of its own; a span has one, a special of kind
// kDispose, from its first such object until none is left.

#ifndef LOAM_RUNTIME_SPECIALS_DISPOSE_QUEUE_H_
#define LOAM_RUNTIME_SPECIALS_DISPOSE_QUEUE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/span.h"

namespace loam {

struct WaitingCells {
  static constexpr size_t kWords = BitmapWords(kMaxSpanCells);

  Span* span;  // constant
  // Of the list of spans with cells that wait, and how many do: guarded by the
  // finalizer queue's lock.
  WaitingCells* next;
  size_t waiting_count;
  // Guarded by the span's specials_lock.
  uint64_t waiting[kWords];
  uint64_t disposed[kWords];
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_DISPOSE_QUEUE_H_
