// Debugging aids that watch the embedder: stress collections, stores, threads.
// All are off unless an option or environment variable asks; then allocations
// and polls take the slow path, which calls in here.

#ifndef LOAM_RUNTIME_CHECKING_H_
#define LOAM_RUNTIME_CHECKING_H_

#include <cstddef>
#include <cstdint>

#include "runtime/mutator.h"

namespace loam {

// ---- Stress: collecting at chosen allocations

void StartStress(Mutator* m);
// Counts one allocation; true if it is to collect first.
bool StressWantsCollection(Mutator* m);

// ---- Stores

// Reserves the list of fresh objects if stores are checked; false when out of
// memory.
bool StartCheckingStores(Mutator* m);
void EndCheckingStores(Mutator* m);
// An object that may be filled in by plain stores until the next safepoint.
void AddFreshObject(Mutator* m, void* object);
// A safepoint: what fresh objects hold now counts as stored.
void EndFreshObjects(Mutator* m);
// Whether a store may go to a word that is no slot: a bulk copy goes by the
// object's layout and takes data along.
enum class DataWords : bool { kRefused, kAccepted };
// What the store functions do while the barrier word is set, `call` being their
// name. Checks that the thread may use the mutator; and with check_stores, that
// `slot` is one of `object`'s and `word` refers to no free cell.
void CheckStoreTarget(Mutator* m, const char* call, const void* object,
                      const void* slot, uintptr_t word,
                      DataWords data_words = DataWords::kRefused);
// Before a store that CheckStoreTarget let pass.
void RecordStore(Mutator* m, const void* slot, uintptr_t word);
// After such an exchange.
void RecordExchange(Mutator* m, const void* slot);

// ---- Threads

// Fatal if the calling thread is not the one that uses the mutator, or the
// mutator is in native state.
void CheckThreadNow(const Mutator* m, const char* call);
inline void CheckThread(const Mutator* m, const char* call) {
  // Every checking mode makes all polls slow.
  if ((m->safepoint_word.load(std::memory_order_relaxed) & kWordAlways) != 0) {
    CheckThreadNow(m, call);
  }
}

}  // namespace loam

#endif  // LOAM_RUNTIME_CHECKING_H_
