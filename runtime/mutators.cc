// Runtime's mutators: attaching, native sections, stops, fork.

#include <cstdio>
#include <new>

#include "runtime/base/race_hooks.h"
#include "runtime/cell_run.h"
#include "runtime/checking.h"
#include "runtime/runtime.h"

namespace loam {

Status Runtime::Attach(const char* name, Mutator** result,
                       ErrorMessage* message) {
  return WithFreePages([&] { return TryAttach(name, result, message); });
}

Status Runtime::TryAttach(const char* name, Mutator** result,
                          ErrorMessage* message) {
  if (const Mutator* m = FindInTheWay(nullptr)) {
    message->Format(
        "loam_mutator_attach: heap: this thread has mutator '%s' on heap '%s' "
        "already%s",
        m->name, options_.name,
        m->world_stops == 0 ? "" : ", with the world stopped");
    return Status::kWrongState;
  }
  SparseRegion region;
  if (!region.Reserve(&ledger_, kMutatorRegionBytes) ||
      !region.EnsureCommitted(0, sizeof(Mutator))) {
    region.Release();
    message->Format("loam_mutator_attach: no memory for another mutator");
    return Status::kOutOfMemory;
  }
  auto* m = new (region.base()) Mutator{};
  m->region = region;
  m->runtime = this;
  snprintf(m->name, sizeof(m->name), "%s", name != nullptr ? name : "mutator");
  m->root_stack = &m->roots.own_stack;
  m->first_used = kEndOfUsedList;
  if (options_.check.single_cell_runs()) {
    m->safepoint_word.store(kWordAlways, std::memory_order_relaxed);
  }
  if (options_.check.check_threads) {
    m->barrier_word = kBarrierCheck;
  }
  m->safepoint.word = &m->safepoint_word;
  m->safepoint.name = m->name;
  m->safepoint.owner = m;
  m->safepoint.on_thread_end = &OnThreadEnd;
  StartStress(m);
  if (!StartCheckingStores(m) || !safepoints_.Attach(&m->safepoint)) {
    EndCheckingStores(m);
    region.Release();
    message->Format("loam_mutator_attach: no memory for another mutator");
    return Status::kOutOfMemory;
  }
  attached_.fetch_add(1, std::memory_order_relaxed);
  *result = m;
  return Status::kOk;
}

Status Runtime::Detach(Mutator* m, ErrorMessage* message) {
  // The destructor of a static object may detach after its thread's own end.
  if (m->thread_ended) {
    const Status status = LeaveNative(m, message);
    if (status != Status::kOk) return status;
  }
  const char* problem = nullptr;
  if (m->safepoint.state.load(std::memory_order_relaxed) !=
      MutatorState::kRunning) {
    problem = "is in native state; leave that first";
  } else if (m->gc_disabled_depth != 0) {
    problem = "has collections disabled; enable them first";
  } else if (m->world_stops != 0) {
    problem = "has stopped the world; start it first";
  } else if (m->roots.current_fiber != nullptr) {
    problem = "runs on a fiber; switch to its own stack first";
  }
  if (problem != nullptr) {
    message->Format("loam_mutator_detach: m: mutator '%s' %s", m->name,
                    problem);
    return Status::kWrongState;
  }
  EndFreshObjects(m);
  FlushCursorsOf(m);
  AttachYoungSamples(m);
  ReleaseCachesOf(m, CountTypes::kNo);
  roots_.ReleaseMutator(&m->roots);
  safepoints_.Detach(&m->safepoint);
  AtRacePoint(RacePoint::kDetachedStillCounted);
  DestroyMutator(m);
  // Last: from here on another thread may destroy the heap.
  attached_.fetch_sub(1, std::memory_order_release);
  return Status::kOk;
}

void Runtime::DestroyMutator(Mutator* m) {
  EndCheckingStores(m);
  SparseRegion region = m->region;
  region.Release();
}

// A thread has ended without detaching, or the process is exiting. Nothing may
// wait for the mutator any more, and the frames on its stack are gone.
void Runtime::OnThreadEnd(SafepointState* state) {
  Mutator* m = MutatorOf(state);
  Runtime* runtime = m->runtime;
  if (runtime->options_.check.check_threads) {
    const ScopedFatalContext context(&runtime->fatal_context_);
    FatalMisuse(
        "a thread ended while its mutator '%s' was attached and running; call "
        "loam_mutator_detach, or loam_enter_native to hand it over",
        m->name);
  }
  m->root_stack->frames = nullptr;
  m->roots.own_stack.frames = nullptr;
  for (; m->gc_disabled_depth > 0; m->gc_disabled_depth--) {
    runtime->cycle_.Enable();
  }
  while (m->world_stops > 0) runtime->StartTheWorld(m);
  m->thread_ended = true;
  runtime->EnterNative(m);
}

Mutator* Runtime::Current() {
  ThreadContext* context = ThreadContext::CurrentIfAny();
  SafepointState* state =
      context == nullptr ? nullptr : context->Find(&safepoints_);
  return state == nullptr ? nullptr : MutatorOf(state);
}

// A mutator other than `m` that keeps the calling thread from running with `m`:
// one that it runs with already, or one with which it holds the world stopped.
const Mutator* Runtime::FindInTheWay(const Mutator* m) {
  const Mutator* found = nullptr;
  ThreadContext* context = ThreadContext::CurrentIfAny();
  if (context == nullptr) return nullptr;
  context->ForEach([&](SafepointState* state) {
    if (state->safepoints != &safepoints_) return;
    const Mutator* other = MutatorOf(state);
    if (other == m) return;
    // Whoever takes it over unlinks it first, so its fields stand still.
    const bool native =
        state->state.load(std::memory_order_relaxed) == MutatorState::kNative;
    if (!native || other->world_stops != 0) found = other;
  });
  return found;
}

void Runtime::Safepoint(Mutator* m) {
  EndFreshObjects(m);
  Safepoints::Poll(&m->safepoint);
}

void Runtime::EnterNative(Mutator* m) {
  EndFreshObjects(m);
  if (m->safepoint.native_depth++ == 0) Safepoints::EnterNative(&m->safepoint);
}

Status Runtime::LeaveNative(Mutator* m, ErrorMessage* message) {
  if (m->safepoint.native_depth == 0) {
    message->Format("loam_leave_native: m: mutator '%s' is not in native state",
                    m->name);
    return Status::kWrongState;
  }
  const Mutator* in_the_way =
      m->safepoint.native_depth == 1 ? FindInTheWay(m) : nullptr;
  if (in_the_way != nullptr) {
    message->Format(
        "loam_leave_native: m: this thread has mutator '%s' on the heap "
        "already%s, it cannot take over '%s'",
        in_the_way->name,
        in_the_way->world_stops == 0 ? "" : ", with the world stopped",
        m->name);
    return Status::kWrongState;
  }
  if (--m->safepoint.native_depth > 0) return Status::kOk;
  if (!Safepoints::LeaveNative(&m->safepoint)) {
    m->safepoint.native_depth++;
    message->Format("loam_leave_native: no memory for this thread's record");
    return Status::kOutOfMemory;
  }
  m->thread_ended = false;
  return Status::kOk;
}

void Runtime::StopTheWorld(Mutator* m) {
  EndFreshObjects(m);
  // The stopper itself goes on running, and so do this thread's other mutators.
  // If the heap of one of these is stopped, its stopper may be waiting for this
  // one: step back, let it finish, and try again.
  for (;;) {
    safepoints_.StopTheWorld(&m->safepoint, nullptr, nullptr);
    if (Safepoints::TryResumeSelf(&m->safepoint)) break;
    safepoints_.StartTheWorld();
    Safepoints::ResumeSelf(&m->safepoint);
  }
  if (m->world_stops++ == 0) background_.Pause();
}

void Runtime::StartTheWorld(Mutator* m) {
  if (--m->world_stops == 0) background_.Resume();
  safepoints_.StartTheWorld();
}

// Calls visit(runtime) for every heap in which this thread has prepared a fork,
// by rising address. Not under the lock of the thread's list, which ranks
// behind what `visit` takes; the list does not change meanwhile, since these
// mutators are running.
template <typename Visit>
void Runtime::ForEachPreparedHeap(Visit&& visit) {
  Runtime* last = nullptr;
  for (;;) {
    Runtime* next = nullptr;
    ThreadContext::CurrentIfAny()->ForEach([&](SafepointState* state) {
      const Mutator* m = MutatorOf(state);
      if (state->state.load(std::memory_order_relaxed) ==
              MutatorState::kRunning &&
          m->fork_prepared && m->runtime > last &&
          (next == nullptr || m->runtime < next)) {
        next = m->runtime;
      }
    });
    if (next == nullptr) return;
    visit(next);
    last = next;
  }
}

// The locks of all prepared heaps are taken together, when all their worlds are
// stopped: a thread that runs in the heap still to be stopped may be waiting
// for a lock of one of the others. Type sets, which heaps may share, come
// first.
void Runtime::PrepareFork(Mutator* m) {
  ForEachPreparedHeap([](Runtime* runtime) { runtime->UnlockAfterFork(); });
  StopTheWorld(m);
  // What is left to sweep is swept, so that the child starts with clean lists.
  FlushAndSweep();
  page_heap_.FlushCaches();
  m->fork_prepared = true;
  ForEachPreparedHeap([](Runtime* runtime) { runtime->types_->LockForFork(); });
  ForEachPreparedHeap([](Runtime* runtime) { runtime->LockForFork(); });
}

void Runtime::EndForkInParent(Mutator* m) {
  UnlockAfterFork();
  m->fork_prepared = false;
  StartTheWorld(m);
}

void Runtime::EndForkInChild(Mutator* m) {
  UnlockAfterFork();
  m->fork_prepared = false;
  ResetAfterFork(m);
  StartTheWorld(m);
}

// What threads that are native or not attached may be changing is held across
// the fork, so that the child finds it whole; the type set is locked already.
void Runtime::LockForFork() {
  background_.LockForFork();
  roots_.LockForFork();
  specials_.heap_profile()->LockForFork();
  page_heap_.LockForFork();
  persistent_.LockForFork();
  pacer_.LockForFork();
  cycle_.LockForFork();
  ledger_.LockForFork();
  specials_.finalizer_queue()->LockForFork();
}

void Runtime::UnlockAfterFork() {
  specials_.finalizer_queue()->UnlockAfterFork();
  ledger_.UnlockAfterFork();
  cycle_.UnlockAfterFork();
  pacer_.UnlockAfterFork();
  persistent_.UnlockAfterFork();
  page_heap_.UnlockAfterFork();
  specials_.heap_profile()->UnlockAfterFork();
  roots_.UnlockAfterFork();
  background_.UnlockAfterFork();
  types_->UnlockAfterFork();
}

void Runtime::ResetAfterFork(Mutator* m) {
  specials_.ResetAfterFork();
  sweeper_.ResetAfterFork();
  cycle_.ResetAfterFork();
  background_.ResetAfterFork();
  finalizer_runner_.ResetAfterFork();
  error_mutex_.ResetAfterFork();
  ThreadContext::CurrentIfAny()->ResetAfterFork();
  safepoints_.ResetAfterFork(&m->safepoint, [this](SafepointState* state) {
    Mutator* gone = MutatorOf(state);
    for (; gone->gc_disabled_depth > 0; gone->gc_disabled_depth--) {
      cycle_.Enable();
    }
    FlushCursorsOf(gone);
    AttachYoungSamples(gone);
    ReleaseCachesOf(gone, CountTypes::kNo);
    roots_.ReleaseMutator(&gone->roots);
    DestroyMutator(gone);
  });
  // Not counted down: a thread that was attaching or detaching may have been
  // between the list and the count, in either direction. The pages of such a
  // mutator, which nobody refers to, stay the child's until it ends.
  attached_.store(1, std::memory_order_relaxed);
}

}  // namespace loam
