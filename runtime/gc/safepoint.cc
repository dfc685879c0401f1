#include "runtime/gc/safepoint.h"

#include <new>
#include <utility>

#include "runtime/base/fatal.h"
#include "runtime/base/race_hooks.h"
#include "runtime/base/spin.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/os_memory.h"

namespace loam {

namespace {

// Which mutators a thread has is a property of the thread, not of a heap. Not
// destroyed: destructors of other thread-local and static objects may ask.
thread_local ThreadContext* current_context = nullptr;

}  // namespace

// Drops the thread's reference to its context when the thread ends.
struct ThreadContextOwner {
  bool active = false;
  ~ThreadContextOwner() {
    ThreadContext* context = std::exchange(current_context, nullptr);
    if (context == nullptr) return;
    context->EndRunningMutators();
    context->Unreference();
  }
};

namespace {

thread_local ThreadContextOwner context_owner;

}  // namespace

// ---- ThreadContext ---------------------------------------------------------

ThreadContext* ThreadContext::CurrentIfAny() { return current_context; }

ThreadContext* ThreadContext::Current() {
  if (current_context == nullptr) {
    static_assert(sizeof(ThreadContext) <= kOsPageBytes);
    const uintptr_t memory = os::Allocate(kOsPageBytes);
    if (memory == 0) return nullptr;
    current_context = new (reinterpret_cast<void*>(memory)) ThreadContext();
    context_owner.active = true;  // Has it constructed, and so destroyed.
  }
  return current_context;
}

void ThreadContext::Unreference() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    this->~ThreadContext();
    os::Release(reinterpret_cast<uintptr_t>(this), kOsPageBytes);
  }
}

template <typename Wanted>
SafepointState* ThreadContext::FindFirst(Wanted&& wanted) {
  MutexLock lock(&mutex_);
  for (SafepointState* m = first_; m != nullptr; m = m->next_in_thread) {
    if (wanted(m)) return m;
  }
  return nullptr;
}

void ThreadContext::EndRunningMutators() {
  while (SafepointState* m = FindFirst([](const SafepointState* each) {
           return each->state.load(std::memory_order_relaxed) ==
                  MutatorState::kRunning;
         })) {
    m->on_thread_end(m);
  }
}

void ThreadContext::Link(SafepointState* m) {
  references_.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(&mutex_);
  // A stop that was requested of the others has not reached this one's word,
  // which may be the only one that the thread polls from now on.
  for (SafepointState* other = first_; other != nullptr;
       other = other->next_in_thread) {
    if ((other->word->load(std::memory_order_relaxed) &
         (kWordStop | kWordThread)) != 0) {
      m->word->fetch_or(kWordThread, std::memory_order_relaxed);
    }
  }
  m->next_in_thread = first_;
  first_ = m;
}

void ThreadContext::Unlink(SafepointState* m) {
  {
    MutexLock lock(&mutex_);
    SafepointState** link = &first_;
    while (*link != m) link = &(*link)->next_in_thread;
    *link = m->next_in_thread;
    m->next_in_thread = nullptr;
  }
  Unreference();
}

void ThreadContext::RequestPoll() {
  MutexLock lock(&mutex_);
  for (SafepointState* m = first_; m != nullptr; m = m->next_in_thread) {
    m->word->fetch_or(kWordThread, std::memory_order_relaxed);
  }
}

bool ThreadContext::TakeStopRequests() {
  MutexLock lock(&mutex_);
  bool stop = false;
  for (SafepointState* m = first_; m != nullptr; m = m->next_in_thread) {
    const uint32_t word =
        m->word->fetch_and(~uint32_t{kWordThread}, std::memory_order_acquire);
    if ((word & kWordStop) != 0 &&
        m->state.load(std::memory_order_relaxed) == MutatorState::kRunning) {
      stop = true;
    }
  }
  return stop;
}

SafepointState* ThreadContext::Find(const Safepoints* safepoints) {
  SafepointState* running = FindFirst([safepoints](const SafepointState* m) {
    return m->safepoints == safepoints &&
           m->state.load(std::memory_order_relaxed) != MutatorState::kNative;
  });
  if (running != nullptr) return running;
  return FindFirst([safepoints](const SafepointState* m) {
    return m->safepoints == safepoints;
  });
}

void ThreadContext::ParkAll() {
  bool notify = false;
  {
    MutexLock lock(&mutex_);
    for (SafepointState* m = first_; m != nullptr; m = m->next_in_thread) {
      if (m->state.load(std::memory_order_relaxed) != MutatorState::kRunning) {
        continue;
      }
      m->state.store(MutatorState::kParked, std::memory_order_seq_cst);
      m->must_notify = m->safepoints->MustNotify(m);
      notify |= m->must_notify;
    }
  }
  // Not under the lock: that of the stopper ranks before it. Only this thread
  // can make the mutators go away.
  while (notify) {
    SafepointState* m =
        FindFirst([](const SafepointState* each) { return each->must_notify; });
    if (m == nullptr) return;
    m->must_notify = false;
    m->safepoints->NotifyStateChanged();
  }
}

SafepointState* ThreadContext::TryUnparkAll() {
  SafepointState* stopped = nullptr;
  {
    MutexLock lock(&mutex_);
    for (SafepointState* m = first_; m != nullptr && stopped == nullptr;
         m = m->next_in_thread) {
      if (m->state.load(std::memory_order_relaxed) != MutatorState::kParked) {
        continue;
      }
      m->state.store(MutatorState::kRunning, std::memory_order_seq_cst);
      if ((m->word->load(std::memory_order_seq_cst) & kWordStop) != 0) {
        stopped = m;
      }
    }
  }
  if (stopped != nullptr) ParkAll();
  return stopped;
}

void ThreadContext::UnparkAll() {
  // Runs in none of the heaps while waiting for one.
  while (SafepointState* stopped = TryUnparkAll()) {
    // Most stops are short.
    Spinner spinner;
    bool waits = true;
    while (waits && spinner.Spin()) {
      waits = (stopped->word->load(std::memory_order_relaxed) & kWordStop) != 0;
    }
    if (waits) stopped->safepoints->WaitWhileStopped(stopped);
  }
}

// ---- Safepoints ------------------------------------------------------------

void Safepoints::NotifyStateChanged() {
  MutexLock lock(&mutex_);
  changed_.NotifyAll();
}

void Safepoints::WaitWhileStopped(const SafepointState* m) {
  MutexLock lock(&mutex_);
  for (;;) {
    if (stopper_ == nullptr || stopper_ == m) return;
    changed_.Wait(&mutex_);
  }
}

void Safepoints::LinkToHeap(SafepointState* m) {
  m->next_in_heap = first_;
  m->previous_in_heap = nullptr;
  if (first_ != nullptr) first_->previous_in_heap = m;
  first_ = m;
  mutator_count_.fetch_add(1, std::memory_order_relaxed);
}

void Safepoints::UnlinkFromHeap(SafepointState* m) {
  if (m->previous_in_heap != nullptr) {
    m->previous_in_heap->next_in_heap = m->next_in_heap;
  } else {
    first_ = m->next_in_heap;
  }
  if (m->next_in_heap != nullptr) {
    m->next_in_heap->previous_in_heap = m->previous_in_heap;
  }
  mutator_count_.fetch_sub(1, std::memory_order_relaxed);
}

bool Safepoints::Attach(SafepointState* m) {
  ThreadContext* context = ThreadContext::Current();
  if (context == nullptr) return false;
  m->safepoints = this;
  m->state.store(MutatorState::kParked, std::memory_order_relaxed);
  context->ParkAll();
  {
    MutexLock lock(&mutex_);
    while (stopper_ != nullptr) {
      changed_.Wait(&mutex_);
    }
    m->thread.store(context, std::memory_order_relaxed);
    context->Link(m);
    LinkToHeap(m);
  }
  AtRacePoint(RacePoint::kLinkedNotRunning);
  context->UnparkAll();
  return true;
}

void Safepoints::Detach(SafepointState* m) {
  m->state.store(MutatorState::kParked, std::memory_order_seq_cst);
  ThreadContext* context = m->thread.load(std::memory_order_relaxed);
  MutexLock lock(&mutex_);
  UnlinkFromHeap(m);
  m->thread.store(nullptr, std::memory_order_relaxed);
  context->Unlink(m);
  // Requests of a stop that is under way are not for a later attachment.
  m->word->fetch_and(~(kWordStop | kWordThread), std::memory_order_relaxed);
  changed_.NotifyAll();
}

void Safepoints::Poll(SafepointState* m) {
  ThreadContext* context = m->thread.load(std::memory_order_relaxed);
  if (!context->TakeStopRequests()) return;
  context->ParkAll();
  context->UnparkAll();
}

void Safepoints::EnterNative(SafepointState* m) {
  m->state.store(MutatorState::kNative, std::memory_order_seq_cst);
  if (m->safepoints->MustNotify(m)) m->safepoints->NotifyStateChanged();
}

bool Safepoints::MoveToCurrentThread(SafepointState* m) {
  ThreadContext* context = ThreadContext::Current();
  if (context == nullptr) return false;
  MutexLock lock(&mutex_);
  ThreadContext* previous = m->thread.load(std::memory_order_relaxed);
  previous->Unlink(m);
  m->thread.store(context, std::memory_order_relaxed);
  context->Link(m);
  return true;
}

bool Safepoints::LeaveNative(SafepointState* m) {
  if (m->thread.load(std::memory_order_relaxed) !=
          ThreadContext::CurrentIfAny() &&
      !m->safepoints->MoveToCurrentThread(m)) {
    return false;
  }
  m->state.store(MutatorState::kRunning, std::memory_order_seq_cst);
  AtRacePoint(RacePoint::kLeaveNative);
  if (m->word->load(std::memory_order_seq_cst) != 0) {
    // Parks before anything of the heap is touched.
    ThreadContext* context = m->thread.load(std::memory_order_relaxed);
    context->ParkAll();
    context->UnparkAll();
  }
  return true;
}

bool Safepoints::StopTheWorld(SafepointState* self,
                              bool (*still_wanted)(void* data), void* data) {
  ThreadContext* context = self->thread.load(std::memory_order_relaxed);
  context->ParkAll();
  MutexLock lock(&mutex_);
  if (stopper_ == self) {
    stop_depth_++;
    return true;
  }
  while (stopper_ != nullptr) {
    changed_.Wait(&mutex_);
  }
  if (still_wanted != nullptr && !still_wanted(data)) return false;
  stopper_ = self;
  stop_depth_ = 1;
  for (SafepointState* m = first_; m != nullptr; m = m->next_in_heap) {
    if (m == self) continue;
    m->word->fetch_or(kWordStop, std::memory_order_seq_cst);
    // Its thread may be polling the word of another heap's mutator.
    m->thread.load(std::memory_order_relaxed)->RequestPoll();
  }
  AtRacePoint(RacePoint::kStopRequested);
  Spinner spinner;
  while (AnotherRuns(self)) {
    if (spinner.Spin()) continue;
    stopper_sleeps_.store(true, std::memory_order_seq_cst);
    if (!AnotherRuns(self)) break;
    changed_.Wait(&mutex_);
  }
  stopper_sleeps_.store(false, std::memory_order_relaxed);
  return true;
}

bool Safepoints::AnotherRuns(const SafepointState* self) const {
  for (SafepointState* m = first_; m != nullptr; m = m->next_in_heap) {
    if (m != self &&
        m->state.load(std::memory_order_seq_cst) == MutatorState::kRunning) {
      return true;
    }
  }
  return false;
}

void Safepoints::StartTheWorld() {
  MutexLock lock(&mutex_);
  if (--stop_depth_ > 0) return;
  for (SafepointState* m = first_; m != nullptr; m = m->next_in_heap) {
    m->word->fetch_and(~uint32_t{kWordStop}, std::memory_order_seq_cst);
  }
  stopper_ = nullptr;
  changed_.NotifyAll();
}

void Safepoints::ResumeSelf(SafepointState* self) {
  self->thread.load(std::memory_order_relaxed)->UnparkAll();
}

bool Safepoints::TryResumeSelf(SafepointState* self) {
  return self->thread.load(std::memory_order_relaxed)->TryUnparkAll() ==
         nullptr;
}

}  // namespace loam
