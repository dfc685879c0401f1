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
                           size_t max_stack_bytes,
                           const FatalContext* fatal_context) {
  const uintptr_t memory = os::Allocate(kBytesOf<MarkTeam>);
  if (memory == 0) return nullptr;
  return new (reinterpret_cast<void*>(memory))
      MarkTeam(page_heap, ledger, encoding, max_stack_bytes, fatal_context);
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
  }
  for (uint32_t i = 0; i < count_; i++) {
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
    if (!StartThread(&workers_[count_]->thread, "loam marker", &Main,
                     workers_[count_])) {
      return false;
    }
    count_++;
  }
  return true;
}

void* MarkTeam::Main(void* argument) {
  auto* worker = static_cast<Worker*>(argument);
  worker->team->Help(worker);
  return nullptr;
}

void MarkTeam::Help(Worker* worker) {
  const ScopedFatalContext context(fatal_context_);
  mutex_.Lock();
  for (;;) {
    while (round_ == worker->round && !ending_) changed_.Wait(&mutex_);
    if (ending_) break;
    worker->round = round_;
    mutex_.Unlock();
    worker->marker->Begin();
    EmbedderCall("a trace or decode callback",
                 [&] { worker->marker->DrainShared(&pool_); });
    worker->work.Trim();
    mutex_.Lock();
    busy_--;
    if (busy_ == 0) changed_.NotifyAll();
  }
  mutex_.Unlock();
}

void MarkTeam::Run(Marker* leader) {
  pool_.Begin(count_ + 1);
  {
    MutexLock lock(&mutex_);
    for (uint32_t i = 0; i < count_; i++) {
      workers_[i]->marker->set_marked_by_region(leader->marked_by_region());
    }
    busy_ = count_;
    round_++;
    changed_.NotifyAll();
  }
  leader->DrainShared(&pool_);
  {
    MutexLock lock(&mutex_);
    while (busy_ > 0) changed_.Wait(&mutex_);
  }
  for (uint32_t i = 0; i < count_; i++) leader->Add(*workers_[i]->marker);
}

void MarkTeam::ResetAfterFork() {
  pool_.ResetAfterFork();
  changed_.ResetAfterFork();
  count_ = 0;
}

}  // namespace loam
