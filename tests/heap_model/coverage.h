// What the random programs exercised: a count per category, printed as a table.
// A category that stays at zero means that the programs do not test what they
// claim to, so the test fails on it.

#ifndef LOAM_TESTS_HEAP_MODEL_COVERAGE_H_
#define LOAM_TESTS_HEAP_MODEL_COVERAGE_H_

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>

namespace loam_test {

#define LOAM_TEST_COVERAGE(X)                                     \
  X(kLayoutFixed, "layout: fixed, up to 64 words")                \
  X(kLayoutWordKinds, "layout: fixed, given by word_kinds")       \
  X(kLayoutLong, "layout: fixed, above 64 words")                 \
  X(kLayoutAmbiguousField, "layout: fixed, an ambiguous field")   \
  X(kLayoutNoscan, "layout: fixed, no references")                \
  X(kLayoutEight, "layout: fixed, 8 bytes")                       \
  X(kLayoutHot, "layout: fixed, LOAM_TYPE_HOT")                   \
  X(kLayoutAligned, "layout: fixed, over-aligned")                \
  X(kLayoutLargeFixed, "layout: fixed, above 32 KiB")             \
  X(kLayoutValueArray, "layout: array of values")                 \
  X(kLayoutRecordArray, "layout: prefix and array of records")    \
  X(kLayoutNoscanArray, "layout: array without references")       \
  X(kLayoutPrefixArray, "layout: references in the prefix only")  \
  X(kLayoutTraced, "layout: trace callback")                      \
  X(kLayoutTracedArray, "layout: trace callback with array")      \
  X(kLayoutTiny, "layout: bytes below 16")                        \
  X(kLayoutBytes, "layout: bytes up to 32 KiB")                   \
  X(kLayoutLargeBytes, "layout: bytes above 32 KiB")              \
  X(kLayoutSlots, "layout: slots up to 32 KiB")                   \
  X(kLayoutLargeSlots, "layout: slots above 32 KiB")              \
  X(kLayoutPieceSlots, "layout: slots above 128 KiB")             \
  X(kLayoutLargeArray, "layout: array above 32 KiB")              \
  X(kLayoutPieceArray, "layout: array above 128 KiB")             \
  X(kLayoutBitmap, "layout: bitmap up to 512 bytes")              \
  X(kLayoutCellBitmap, "layout: bitmap above 512 bytes")          \
  X(kLayoutLargeBitmap, "layout: bitmap above 32 KiB")            \
  X(kLayoutAmbiguous, "layout: ambiguous")                        \
  X(kLayoutLargeAmbiguous, "layout: ambiguous above 32 KiB")      \
  X(kLayoutZeroTail, "layout: zero-length tail")                  \
  X(kLayoutWeak, "layout: weak words")                            \
  X(kLayoutWeakArray, "layout: array with weak words")            \
  X(kLayoutEphemeron, "layout: ephemeron words")                  \
  X(kLayoutEphemeronArray, "layout: array with ephemeron words")  \
  X(kLayoutNeverCleared, "layout: LOAM_TYPE_NEVER_CLEARED")       \
  X(kLayoutDisposed, "layout: disposed of at once")               \
  X(kLayoutDisposedArray, "layout: array disposed of at once")    \
  X(kLayoutDisposeQueued, "layout: LOAM_TYPE_DISPOSE_QUEUED")     \
  X(kLayoutDisposeQueuedArray, "layout: array, dispose queued")   \
  X(kCallAlloc, "call: loam_alloc inlined")                       \
  X(kCallAllocFunction, "call: loam_alloc as a function")         \
  X(kCallAllocMany, "call: loam_alloc_many, objects")             \
  X(kCallImmortal, "call: loam_alloc_immortal")                   \
  X(kCallTry, "call: loam_try_*, served")                         \
  X(kCallResizeInPlace, "call: loam_resize_bytes in place")       \
  X(kCallResizeMoved, "call: loam_resize_bytes moved")            \
  X(kTypedSpans, "spans: types promoted to typed spans")          \
  X(kStoreInline, "store: inlined")                               \
  X(kStoreFunction, "store: as a function")                       \
  X(kStoreInit, "store: init")                                    \
  X(kStoreInterior, "store: interior references")                 \
  X(kStoreImmediate, "store: words that are no references")       \
  X(kStoreClear, "store: loam_clear_slots")                       \
  X(kStoreCopy, "store: loam_copy_slots between objects")         \
  X(kStoreMove, "store: loam_copy_slots, overlapping")            \
  X(kStoreExchange, "store: loam_exchange_*")                     \
  X(kStoreCompareHit, "store: loam_compare_exchange_*, stored")   \
  X(kStoreCompareMiss, "store: loam_compare_exchange_*, refused") \
  X(kRootValue, "root: registered value")                         \
  X(kRootPointer, "root: registered pointer")                     \
  X(kRootAmbiguous, "root: registered ambiguous")                 \
  X(kRootRange, "root: registered range")                         \
  X(kRootHeapProvider, "root: provider of the heap")              \
  X(kRootMutatorProvider, "root: provider of the mutator")        \
  X(kRootFiberProvider, "root: provider of a fiber")              \
  X(kRootFrame, "root: frames")                                   \
  X(kRootHandle, "root: handles")                                 \
  X(kRootGlobal, "root: globals")                                 \
  X(kRootUnwind, "root: loam_unwind_to")                          \
  X(kRootRemoved, "root: removed")                                \
  X(kFiberOwned, "fiber: created with owner")                     \
  X(kFiberFree, "fiber: created without owner")                   \
  X(kFiberSwitch, "fiber: switches")                              \
  X(kFiberDied, "fiber: gone with its owner")                     \
  X(kFiberDestroyed, "fiber: destroyed")                          \
  X(kFinalizerSet, "finalizer: set, ordered")                     \
  X(kFinalizerUnordered, "finalizer: set, unordered")             \
  X(kFinalizerCleared, "finalizer: cleared")                      \
  X(kFinalizerRan, "finalizer: ran")                              \
  X(kFinalizerResurrected, "finalizer: resurrected its object")   \
  X(kFinalizerAllocated, "finalizer: allocated")                  \
  X(kFinalizerTiny, "finalizer: set, of a tiny object")           \
  X(kCleanupAdded, "cleanup: added")                              \
  X(kCleanupSecond, "cleanup: added to an object that has one")   \
  X(kCleanupStopped, "cleanup: stopped")                          \
  X(kCleanupStopMissed, "cleanup: stopped too late")              \
  X(kCleanupRan, "cleanup: ran")                                  \
  X(kCleanupSaved, "cleanup: its value made reachable again")     \
  X(kWordSet, "word: set")                                        \
  X(kWordReplaced, "word: replaced")                              \
  X(kWordRemoved, "word: removed")                                \
  X(kWordDied, "word: died called")                               \
  X(kDisposedAtOnce, "dispose: at once")                          \
  X(kDisposedQueued, "dispose: queued, called")                   \
  X(kDisposedAtEnd, "dispose: by loam_heap_destroy")              \
  X(kFinalizedAtEnd, "finalize_at_destroy: calls")                \
  X(kRunnerRan, "runner: calls")                                  \
  X(kPinned, "pin: pinned")                                       \
  X(kPinnedAgain, "pin: pinned once more")                        \
  X(kUnpinned, "pin: unpinned")                                   \
  X(kHandleShort, "weak handle: short")                           \
  X(kHandleLong, "weak handle: long")                             \
  X(kHandleSame, "weak handle: the same once more")               \
  X(kHandleInterior, "weak handle: inside an object")             \
  X(kHandleLive, "weak handle: asked, alive")                     \
  X(kHandleDead, "weak handle: asked, dead")                      \
  X(kHandleResurrected, "weak handle: long, waits for finalizer") \
  X(kHandleDestroyed, "weak handle: destroyed")                   \
  X(kWatchWaiting, "watch: waiting")                              \
  X(kWatchReached, "watch: reached")                              \
  X(kWatchUnreached, "watch: unreached")                          \
  X(kWatchDestroyed, "watch: destroyed")                          \
  X(kWeakStored, "weak word: stored")                             \
  X(kWeakLoaded, "weak word: loaded, alive")                      \
  X(kWeakCleared, "weak word: loaded, cleared word not 0")        \
  X(kWeakStrengthened, "weak word: what it held made reachable")  \
  X(kEphemeronNew, "ephemeron: loam_ephemeron_new")               \
  X(kEphemeronChain, "ephemeron: chains")                         \
  X(kMapNew, "weak map: created")                                 \
  X(kMapSet, "weak map: entries added")                           \
  X(kMapReplaced, "weak map: entries replaced")                   \
  X(kMapGot, "weak map: entries found")                           \
  X(kMapMissed, "weak map: entries not found")                    \
  X(kMapRemoved, "weak map: entries removed")                     \
  X(kMapGrown, "weak map: tables replaced")                       \
  X(kMapChecked, "weak map: entries compared")                    \
  X(kRootWeak, "root: registered weak")                           \
  X(kRootWeakGlobal, "root: weak globals")                        \
  X(kRootWeakCleared, "root: weak words that were cleared")       \
  X(kProviderAdded, "weak provider: added")                       \
  X(kProviderLive, "weak provider: answers, alive")               \
  X(kProviderDead, "weak provider: answers, dead")                \
  X(kCycleRequested, "cycle: requested")                          \
  X(kCycleTrigger, "cycle: trigger")                              \
  X(kCycleStress, "cycle: stress")                                \
  X(kCycleDisabled, "cycle: refused while disabled")              \
  X(kEncodingPointer, "encoding: pointer, programs")              \
  X(kEncodingLowTag, "encoding: low tag, programs")               \
  X(kEncodingNanBox, "encoding: nan box, programs")               \
  X(kEncodingCallback, "encoding: callback, programs")            \
  X(kMutatorReattached, "mutator: detached and attached")         \
  X(kMutatorNative, "mutator: native brackets")                   \
  X(kCheckedObjects, "check: objects compared")                   \
  X(kCheckedGone, "check: objects that had to be gone")           \
  X(kCheckedProfile, "check: objects in the heap profile")

enum class Covered {
#define LOAM_TEST_NAME(name, text) name,
  LOAM_TEST_COVERAGE(LOAM_TEST_NAME)
#undef LOAM_TEST_NAME
      kCount
};

class Coverage {
 public:
  void Count(Covered what, uint64_t n = 1) {
    counts_[static_cast<size_t>(what)] += n;
  }
  void Print(FILE* out) const;
  // The categories that were never exercised, one a line; "" if there is none.
  std::string Missing() const;

 private:
  std::array<uint64_t, static_cast<size_t>(Covered::kCount)> counts_ = {};
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MODEL_COVERAGE_H_
