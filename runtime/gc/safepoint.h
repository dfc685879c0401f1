// Stopping the world, cooperatively.
//
// Every mutator has a state and a safepoint word. The word is polled by its
// thread; nonzero bits send it into the slow path:
//
//   kWordStop     this heap wants to stop
//   kWordThread   another heap in which this thread runs wants to stop
//   kWordAlways   checking mode: every poll takes the slow path
//
// States, and who may change them:
//
//   kRunning   touches the heap         -> others: by its thread
//   kNative    in an embedder's bracket -> kRunning: by the thread that leaves
//   kParked    waits inside loam        -> kRunning: by the thread that waits
//
// The world of a heap is stopped once the stopper has seen no other mutator
// running. From then on one may store kRunning, but not go on with it.
//
// Why it is safe. A stopper sets every word, then reads every state; a mutator
// that becomes kRunning first stores its state, then reads its word. All four
// are sequentially consistent, so at least one sees the other: either the
// stopper finds the mutator running and waits, or the mutator finds kWordStop
// and steps back to kParked before it touches anything.
//
// The stopper waits awake for a moment, then says that it sleeps
// (stopper_sleeps_) and reads every state once more. A mutator that stops
// running stores its state, then reads its word and stopper_sleeps_, and if it
// finds both set wakes the stopper under the lock under which that has been
// reading states; again all are sequentially consistent, so no wake-up is lost.
// What a mutator wrote before it stopped is visible to the
// stopper through the state (release, acquire), and what the collector wrote is
// visible to the mutator through the word that the stopper clears.
//
// A thread may run in several heaps. Whenever it waits for one of them, its
// mutators of all of them are parked, so that two threads that each stop
// another heap do not wait for each other; it runs again when none of them is
// stopped. A stop that the embedder holds is like a lock: whoever takes it must
// not wait for another heap's afterwards (TryResumeSelf).

#ifndef LOAM_RUNTIME_GC_SAFEPOINT_H_
#define LOAM_RUNTIME_GC_SAFEPOINT_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/mutex.h"

namespace loam {

class Safepoints;
class ThreadContext;

enum class MutatorState : uint32_t { kRunning, kNative, kParked };

enum SafepointWord : uint32_t {
  kWordStop = 1,
  kWordThread = 2,
  kWordAlways = 4,
};

// What the safepoint machinery knows of one mutator.
struct SafepointState {
  // The polled word: part of the ABI, at the start of the mutator. Set by
  // stoppers and by the thread itself, with atomic or and and.
  std::atomic<uint32_t>* word = nullptr;
  std::atomic<MutatorState> state{MutatorState::kParked};
  Safepoints* safepoints = nullptr;  // constant while attached
  // The thread that uses the mutator. Written by that thread under the heap's
  // lock, read by itself without.
  std::atomic<ThreadContext*> thread{nullptr};
  // Neighbours, guarded by the heap's and the thread's lock.
  SafepointState* next_in_heap = nullptr;
  SafepointState* previous_in_heap = nullptr;
  SafepointState* next_in_thread = nullptr;
  // Owned by the thread: brackets nest; unpark only what this thread parked.
  uint32_t native_depth = 0;
  bool must_notify = false;  // parked, and a stopper may be waiting for it
  const char* name = "";
  void* owner = nullptr;  // the mutator itself; constant
  // Called when a thread ends while the mutator is running; must make it
  // native.
  void (*on_thread_end)(SafepointState* m) = nullptr;
};

// The mutators of one thread, in any number of heaps. Lives as long as the
// thread or a mutator refers to it.
class ThreadContext {
 public:
  // The calling thread's; NULL when there is no memory for one.
  static ThreadContext* Current();
  // NULL if the thread has none yet.
  static ThreadContext* CurrentIfAny();

  void Link(SafepointState* m) LOAM_EXCLUDES(mutex_);
  void Unlink(SafepointState* m) LOAM_EXCLUDES(mutex_);

  // Makes every mutator of the thread poll. Any thread.
  void RequestPoll() LOAM_EXCLUDES(mutex_);

  // Only the thread itself:

  // Every running mutator becomes parked.
  void ParkAll() LOAM_EXCLUDES(mutex_);
  // Every parked mutator becomes running, waiting until none of their heaps is
  // stopped by somebody else.
  void UnparkAll() LOAM_EXCLUDES(mutex_);
  // Every parked mutator becomes running, and NULL; or, if the heap of one of
  // them is stopped by somebody else, all stay parked, and that one.
  SafepointState* TryUnparkAll() LOAM_EXCLUDES(mutex_);
  // Clears kWordThread of all; true if one of their heaps wants to stop.
  bool TakeStopRequests() LOAM_EXCLUDES(mutex_);
  // Calls visit(m) for every mutator.
  template <typename Visit>
  void ForEach(Visit&& visit) LOAM_EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    for (SafepointState* m = first_; m != nullptr; m = m->next_in_thread) {
      visit(m);
    }
  }
  void ResetAfterFork() { mutex_.ResetAfterFork(); }
  // The mutator with which this thread runs in a heap, else one that it left in
  // native state last, else NULL.
  SafepointState* Find(const Safepoints* safepoints) LOAM_EXCLUDES(mutex_);

 private:
  friend struct ThreadContextOwner;

  void Unreference();
  void EndRunningMutators() LOAM_EXCLUDES(mutex_);
  template <typename Wanted>
  SafepointState* FindFirst(Wanted&& wanted) LOAM_EXCLUDES(mutex_);

  Mutex<LockRank::kThreadContext> mutex_;
  SafepointState* first_ LOAM_GUARDED_BY(mutex_) = nullptr;
  // One for the thread and one per linked mutator. Acquire and release, so that
  // the last one frees it.
  std::atomic<uint32_t> references_{1};
};

// The mutators of one heap.
class Safepoints {
 public:
  // Makes `m` a mutator of this heap and the calling thread, running; waits
  // while the world is stopped. False when out of memory.
  bool Attach(SafepointState* m) LOAM_EXCLUDES(mutex_);
  // Called by its thread; `m` is running.
  void Detach(SafepointState* m) LOAM_EXCLUDES(mutex_);

  // The slow path of a poll: waits if one of the thread's heaps wants to stop.
  static void Poll(SafepointState* m);

  // kRunning to kNative and back; not nested. Leave may be called on another
  // thread than Enter. False if that thread has no memory for its context.
  static void EnterNative(SafepointState* m);
  static bool LeaveNative(SafepointState* m);

  // Stops the world, unless `still_wanted` (may be NULL) says no after waiting
  // for another stop; true if it did. `self` is running and belongs to the
  // calling thread; all its thread's mutators are parked on return, in either
  // case until ResumeSelf.
  bool StopTheWorld(SafepointState* self, bool (*still_wanted)(void* data),
                    void* data) LOAM_EXCLUDES(mutex_);
  void StartTheWorld() LOAM_EXCLUDES(mutex_);
  // Ends the parking that StopTheWorld began; waits while another heap of this
  // thread is stopped. Not while this one is: two threads could wait for each
  // other.
  static void ResumeSelf(SafepointState* self);
  // The same without waiting; false if it would have to.
  static bool TryResumeSelf(SafepointState* self);

  bool IsStoppedBy(const SafepointState* m) LOAM_EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    return stopper_ == m;
  }

  // Calls visit(m) for every mutator. The world is stopped.
  template <typename Visit>
  void ForEachMutator(Visit&& visit) LOAM_EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    for (SafepointState* m = first_; m != nullptr; m = m->next_in_heap) {
      visit(m);
    }
  }
  uint32_t mutator_count() const {
    return mutator_count_.load(std::memory_order_relaxed);
  }

  // In the child of a fork, the world being stopped: forgets every mutator but
  // `survivor`, calling forget(m) for each. The contexts of threads that are
  // gone stay as they were.
  template <typename Forget>
  void ResetAfterFork(SafepointState* survivor,
                      Forget&& forget) LOAM_NO_THREAD_SAFETY_ANALYSIS {
    mutex_.ResetAfterFork();
    changed_.ResetAfterFork();
    stopper_sleeps_.store(false, std::memory_order_relaxed);
    for (SafepointState* m = first_; m != nullptr;) {
      SafepointState* next = m->next_in_heap;
      if (m != survivor) {
        UnlinkFromHeap(m);
        ThreadContext* context = ThreadContext::CurrentIfAny();
        if (m->thread.load(std::memory_order_relaxed) == context) {
          context->Unlink(m);
        }
        forget(m);
      }
      m = next;
    }
  }

 private:
  friend class ThreadContext;

  // After `m` has ceased to run: whether a stopper sleeps until it is told.
  bool MustNotify(const SafepointState* m) const {
    return (m->word->load(std::memory_order_seq_cst) & kWordStop) != 0 &&
           stopper_sleeps_.load(std::memory_order_seq_cst);
  }
  bool AnotherRuns(const SafepointState* self) const LOAM_REQUIRES(mutex_);
  // Wakes a stopper that may be waiting for a state to change.
  void NotifyStateChanged() LOAM_EXCLUDES(mutex_);
  // Whether a stop by somebody else than `m` is on.
  void WaitWhileStopped(const SafepointState* m) LOAM_EXCLUDES(mutex_);
  void LinkToHeap(SafepointState* m) LOAM_REQUIRES(mutex_);
  void UnlinkFromHeap(SafepointState* m) LOAM_REQUIRES(mutex_);
  // Makes `m` a mutator of the calling thread.
  bool MoveToCurrentThread(SafepointState* m) LOAM_EXCLUDES(mutex_);

  Mutex<LockRank::kSafepoints> mutex_;
  ConditionVariable changed_;  // a state, or stopper_
  SafepointState* first_ LOAM_GUARDED_BY(mutex_) = nullptr;
  // Who has stopped the world, or is about to, and how often; NULL: nobody.
  SafepointState* stopper_ LOAM_GUARDED_BY(mutex_) = nullptr;
  uint32_t stop_depth_ LOAM_GUARDED_BY(mutex_) = 0;
  // The stopper waits for changed_. Written under mutex_; see "Why it is safe".
  std::atomic<bool> stopper_sleeps_{false};
  std::atomic<uint32_t> mutator_count_{0};  // relaxed: a statistic
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_SAFEPOINT_H_
