#include "runtime/gc/mark_team.h"

#include <new>

#include "runtime/base/embedder_call.h"
#include "runtime/base/thread.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

template <typename T>
constexpr size_t kBytesOf = AlignUp(sizeof(T), kOsPageBytes);

}  // namespace

MarkTeam::Worker::Worker(MarkTeam* in_team)
    : team(in_team),
      work(in_team->ledger_, in_team->max_stack_bytes_),
      marker(Marker::Create(marker_storage, in_team->page_heap_, &work,
                            in_team->encoding_)) {}

MarkTeam* MarkTeam::Create(PageHeap* page_heap, MemoryLedger* ledger,
                           const ValueEncoding& encoding,
                           size_t max_stack_bytes, const Platform& platform,
                           const FatalContext* fatal_context) {
  const uintptr_t memory = os::Allocate(kBytesOf<MarkTeam>);
  if (memory == 0) return nullptr;
  return new (reinterpret_cast<void*>(memory)) MarkTeam(
      page_heap, ledger, encoding, max_stack_bytes, platform, fatal_context);
}

void MarkTeam::Destroy(MarkTeam* team) {
  if (team == nullptr) return;
  team->~MarkTeam();
  os::Release(reinterpret_cast<uintptr_t>(team), kBytesOf<MarkTeam>);
}

MarkTeam::~MarkTeam() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.NotifyAll();
    for (uint32_t i = 0; i < count_; i++) {
      while (workers_[i]->is_on_its_way) changed_.Wait(&mutex_);
    }
  }
  for (uint32_t i = 0; i < count_ && !platform_.exists(); i++) {
    pthread_join(workers_[i]->thread, nullptr);
  }
  for (Worker* worker : workers_) {
    if (worker == nullptr) continue;
    worker->~Worker();
    os::Release(reinterpret_cast<uintptr_t>(worker), kBytesOf<Worker>);
  }
}

bool MarkTeam::Start(uint32_t workers) {
  while (count_ < workers) {
    const uintptr_t memory = os::Allocate(kBytesOf<Worker>);
    if (memory == 0) return false;
    workers_[count_] = new (reinterpret_cast<void*>(memory)) Worker(this);
    if (!platform_.exists() &&
        !StartThread(&workers_[count_]->thread, "loam marker", &ThreadMain,
                     workers_[count_])) {
      return false;
    }
    count_++;
  }
  return true;
}

void* MarkTeam::ThreadMain(void* argument) {
  auto* worker = static_cast<Worker*>(argument);
  worker->team->RunThread(worker);
  return nullptr;
}

void MarkTeam::RunThread(Worker* worker) {
  const ScopedFatalContext context(fatal_context_);
  MutexLock lock(&mutex_);
  while (!ending_) {
    if (round_ == worker->called_round) {
      changed_.Wait(&mutex_);
    } else {
      Help(worker);
    }
  }
}

void MarkTeam::PostTasks() {
  for (uint32_t i = 0; i < count_; i++) {
    Worker* worker = workers_[i];
    {
      MutexLock lock(&mutex_);
      // One of an earlier round that has not come yet may still do so.
      if (worker->is_on_its_way) continue;
      worker->is_on_its_way = true;
    }
    if (platform_.Post(&RunTask, worker, 0)) continue;
    MutexLock lock(&mutex_);
    worker->is_on_its_way = false;
  }
}

void MarkTeam::RunTask(void* argument) {
  auto* worker = static_cast<Worker*>(argument);
  MarkTeam* team = worker->team;
  const ScopedFatalContext context(team->fatal_context_);
  MutexLock lock(&team->mutex_);
  team->Help(worker);
  // The team may end as soon as the lock is free.
  worker->is_on_its_way = false;
  team->changed_.NotifyAll();
}

void MarkTeam::Help(Worker* worker) {
  worker->called_round = round_;
  if (!is_marking_ || !pool_.Join()) return;
  worker->marked_round = round_;
  busy_++;
  mutex_.Unlock();
  worker->marker->Begin();
  EmbedderCall("a trace or decode callback",
               [&] { worker->marker->DrainShared(&pool_); });
  worker->work.Trim();
  mutex_.Lock();
  busy_--;
  if (busy_ == 0) changed_.NotifyAll();
}

void MarkTeam::Run(Marker* leader) {
  pool_.Begin(1);
  {
    MutexLock lock(&mutex_);
    for (uint32_t i = 0; i < count_; i++) {
      workers_[i]->marker->set_marked_by_region(leader->marked_by_region());
    }
    is_marking_ = true;
    round_++;
    changed_.NotifyAll();
  }
  if (platform_.exists()) PostTasks();
  leader->DrainShared(&pool_);
  MutexLock lock(&mutex_);
  is_marking_ = false;
  while (busy_ > 0) changed_.Wait(&mutex_);
  for (uint32_t i = 0; i < count_; i++) {
    if (workers_[i]->marked_round == round_) {
      leader->Add(*workers_[i]->marker);
    }
  }
}

void MarkTeam::ResetAfterFork() {
  pool_.ResetAfterFork();
  changed_.ResetAfterFork();
  // Nor will tasks that are on their way come here.
  count_ = 0;
}

}  // namespace loam
