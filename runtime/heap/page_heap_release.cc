// How pages go from the page heap back to the OS: on request, in the
// background, because of a limit, and when the heap grows although it has more
// than it should retain.

#include <algorithm>

#include "runtime/base/clock.h"
#include "runtime/heap/os_memory.h"
#include "runtime/heap/page_heap.h"

namespace loam {
namespace {

// Scavenged at a time: long enough to be worth a call of the OS.
constexpr size_t kScavengePages = 64;

}  // namespace

size_t PageHeap::ReleaseFreePages(size_t max_bytes) {
  MutexLock lock(&mutex_);
  FlushAllPages();
  const size_t pages = ReleasePages(max_bytes / kPageBytes);
  // Whoever is short of memory wants what the scavenger has at hand, too.
  const size_t scavenging = scavenging_pages_;
  while (scavenging_pages_ > 0) scavenged_.Wait(&mutex_);
  return (pages + scavenging) * kPageBytes;
}

size_t PageHeap::ScavengeBelow(uintptr_t* end) {
  PageAllocator::PageRun run;
  {
    MutexLock lock(&mutex_);
    run = pages_.TakeScavengable(*end, kScavengePages);
    scavenging_pages_ += run.pages;
  }
  *end = run.address;
  if (run.pages == 0) return 0;
  const size_t bytes = run.pages * kPageBytes;
  const bool is_done = os::Decommit(run.address, bytes);
  MutexLock lock(&mutex_);
  scavenging_pages_ -= run.pages;
  scavenged_.NotifyAll();
  if (!is_done) {
    pages_.ReturnCommitted(run);
    *end = 0;
    return 0;
  }
  pages_.ReturnScavenged(run);
  ledger_->Refund(MemoryLedger::Use::kHeapPages, bytes);
  return bytes;
}

uint64_t PageHeap::heap_page_bytes() {
  MutexLock lock(&mutex_);
  return HeapPageBytes();
}

void PageHeap::ReleaseExcess() {
  MutexLock lock(&mutex_);
  ReleaseExcessPages();
  if (ledger_->soft_excess(0) == 0) return;
  FlushAllPages();
  ReleasePages(DivideRoundingUp(ledger_->soft_excess(0), kPageBytes));
}

void PageHeap::ReleaseExcessPages() {
  if (ledger_->excess() == 0) return;
  FlushAllPages();
  // Which may have made it less.
  ReleasePages(DivideRoundingUp(ledger_->excess(), kPageBytes));
}

size_t PageHeap::SoftExcessPages(uintptr_t base, size_t pages) const {
  const uint64_t bytes = pages_.CountScavenged(base, pages) * kPageBytes;
  return DivideRoundingUp(ledger_->soft_excess(bytes), kPageBytes);
}

bool PageHeap::MakeRoom(uintptr_t base, size_t pages) {
  size_t excess = SoftExcessPages(base, pages);
  if (excess == 0) return true;
  const uint64_t began_ns = NowNanoseconds();
  // Pages of the run itself may be among those released, and then count twice.
  while (excess > 0 && ReleasePages(excess) > 0) {
    excess = SoftExcessPages(base, pages);
  }
  assist_ns_.Add(NowNanoseconds() - began_ns);
  return excess == 0;
}

void PageHeap::ReleaseForGrowth(size_t pages) {
  const uint64_t has = HeapPageBytes();
  const uint64_t retained = retained_bytes_.load(std::memory_order_relaxed);
  if (has <= retained) return;
  const uint64_t began_ns = NowNanoseconds();
  ReleasePages(
      std::min<uint64_t>(pages, DivideRoundingUp(has - retained, kPageBytes)));
  assist_ns_.Add(NowNanoseconds() - began_ns);
}

size_t PageHeap::ReleasePages(size_t max_pages) {
  const size_t pages =
      pages_.Scavenge(max_pages, [](uintptr_t address, size_t count) {
        return os::Decommit(address, count * kPageBytes);
      });
  ledger_->Refund(MemoryLedger::Use::kHeapPages, pages * kPageBytes);
  return pages;
}

}  // namespace loam
