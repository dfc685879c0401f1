// Running what is queued, by the program itself or by a runner; what is left
// when the heap is destroyed.

#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/heap_model/program.h"

namespace loam_test {

bool Program::TakeCall(loam_mutator* m, CallKind kind, uint64_t id,
                       QueuedCall* call) {
  const size_t number = static_cast<size_t>(kind);
  if (is_finishing_) {
    Count(Covered::kFinalizedAtEnd);
    if (last_calls_[number].erase(id) == 0) {
      Fail("at the end: call %zu of kind %zu was not due",
           static_cast<size_t>(id), number);
    }
    return true;
  }
  if (has_runner_) {
    Count(Covered::kRunnerRan);
    runner_calls_.fetch_add(1, std::memory_order_relaxed);
  } else {
    calls_ran_++;
  }
  if ((m == m_) == has_runner_) Fail("a callback got the wrong mutator");
  if (!model_.queue.Take(kind, id, call)) {
    Fail("call %zu of kind %zu ran, but it is not its turn",
         static_cast<size_t>(id), number);
    return false;
  }
  return true;
}

void Program::OnDispose(void* object, size_t size) {
  auto* words = static_cast<loam_word*>(object);
  Program* program = reinterpret_cast<DisposeLog*>(words[1])->program();
  const loam_word first = words[0];
  words[0] = 0;  // A second call would be unexpected.
  if (program->is_finishing_) {
    program->Count(Covered::kDisposedAtEnd);
    if (program->last_disposals_.erase(first) == 0) {
      program->Fail("at the end: %p was not due to be disposed of", object);
    }
    return;
  }
  program->Count(Covered::kDisposedQueued);
  if (program->has_runner_) {
    program->runner_calls_.fetch_add(1, std::memory_order_relaxed);
  } else {
    program->calls_ran_++;
  }
  const Model& model = program->model_;
  Object* found = program->model_.Find(reinterpret_cast<uintptr_t>(object));
  if (found == nullptr || found->dispose_state != DisposeState::kWaits ||
      found->cell_size != size || found->Expected(0) != first) {
    program->Fail("%p was disposed of, but is not due", object);
    return;
  }
  if (model.queue.certain(model.cycles()) > 0) {
    program->Fail("%p was disposed of before all calls ran", object);
  }
  found->dispose_state = DisposeState::kDone;
}

void Program::RunFinalizers() {
  // Spans that are not swept yet have not queued theirs; now and then look at
  // all, so that a lost one shows.
  const bool exact = random_.Percent(50);
  if (exact && loam_collect(m_, LOAM_COLLECT_FULL) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  const size_t before =
      exact ? model_.pending() : model_.queue.certain(model_.cycles());
  const size_t max = random_.Below(12);
  size_t ran;
  size_t waiting;
  calls_ran_ = 0;
  if (loam_finalizers_run(m_, max, &ran, &waiting) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  if (ran != calls_ran_ || (max != 0 && ran > max)) {
    Fail("%zu calls ran, at most %zu were to, reported are %zu", calls_ran_,
         max, ran);
  }
  const size_t least = max == 0 ? before : std::min(max, before);
  if (ran < least) {
    Fail("%zu of %zu calls ran, %zu were asked for", ran, before, max);
  }
  if (waiting > model_.pending()) {
    Fail("%zu calls wait, %zu can", waiting, model_.pending());
  }
}

// A runner runs everything, while this thread stands still.
void Program::RunnerSection() {
  if (loam_collect(m_, LOAM_COLLECT_FULL) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  const size_t due = model_.pending();
  if (due == 0 || failed()) return;
  has_runner_ = true;
  runner_calls_.store(0, std::memory_order_relaxed);
  loam_enter_native(m_);
  if (loam_finalizers_start_runner(heap_) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  while (runner_calls_.load(std::memory_order_relaxed) < due && !failed()) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  if (loam_leave_native(m_) != LOAM_OK ||
      loam_finalizers_stop_runner(heap_) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  has_runner_ = false;
  if (runner_calls_.load(std::memory_order_relaxed) != due ||
      model_.pending() != 0) {
    Fail("the runner ran %zu of %zu calls",
         runner_calls_.load(std::memory_order_relaxed), due);
  }
}

// Everything is disposed of now, and run, if the options say so: each once.
void Program::Destroy() {
  const auto expect = [this](CallKind kind, uint64_t id) {
    last_calls_[static_cast<size_t>(kind)].insert(id);
  };
  const bool runs_all = seed_ % 7 == 3;
  if (runs_all) {
    model_.queue.ForEach(
        [&](const QueuedCall& call) { expect(call.kind, call.id); });
  }
  for (const auto& [address, object] : model_.objects()) {
    for (const Finalizer& f : object->finalizers) {
      if (runs_all) expect(CallKind::kFinalizer, f.id);
    }
    for (const Cleanup& c : object->cleanups) {
      if (runs_all) expect(CallKind::kCleanup, c.id);
    }
    for (const SpecialWord& w : object->special_words) {
      if (runs_all && model_.word_kind_has_died[w.kind]) {
        expect(CallKind::kWord, w.word);
      }
    }
    if (object->layout->disposed == Disposed::kAtOnce) {
      dispose_log_.Expect(object->Expected(0));
    } else if (object->layout->disposed == Disposed::kQueued &&
               object->dispose_state != DisposeState::kDone) {
      last_disposals_.insert(object->Expected(0));
    }
  }
  is_finishing_ = true;
  if (loam_heap_destroy(heap_) != LOAM_OK) Fail("%s", loam_last_error());
  for (const auto& calls : last_calls_) {
    if (!calls.empty()) Fail("%zu calls did not run at the end", calls.size());
  }
  if (!last_disposals_.empty() || dispose_log_.due() != 0) {
    Fail("%zu and %zu objects were not disposed of", last_disposals_.size(),
         dispose_log_.due());
  }
  if (dispose_log_.unexpected() != 0) {
    Fail("%zu objects were disposed of and had not died, or twice",
         dispose_log_.unexpected());
  }
  Count(Covered::kDisposedAtOnce, dispose_log_.done());
}

}  // namespace loam_test
