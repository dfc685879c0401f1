// How the page heap gets more pages: from the arenas that it has reserved, and
// new arenas when those are used up.

#include <algorithm>

#include "runtime/heap/os_memory.h"
#include "runtime/heap/page_heap.h"

namespace loam {
namespace {

// The heap grows by a sixteenth, within these bounds. Small steps keep a small
// heap's mapping below the size of a huge page.
constexpr size_t kMinGrowthPages = 64;
constexpr size_t kMaxGrowthPages = kPagesPerChunk;

// A heap of this size grows by whole huge pages, if it is to have them: what
// the last of them wastes is little then.
constexpr size_t kHugePagesFromBytes = size_t{16} << 20;

}  // namespace

bool PageHeap::UsesHugePages() const {
  return options_.huge_pages && span_pages_ * kPageBytes >= kHugePagesFromBytes;
}

bool PageHeap::Grow(size_t pages) {
  // For good: a heap that has been large may be so again, and blocks of records
  // are never given back.
  if (span_pages_ * kPageBytes >= options_.metadata_huge_pages_from) {
    persistent_->UseHugePages();
  }
  const bool huge = UsesHugePages();
  const size_t granule = huge ? kPagesPerHugePage : kMinGrowthPages;
  const size_t step = AlignUp(
      std::clamp<size_t>(span_pages_ / 16, granule, kMaxGrowthPages), granule);
  size_t rounded = DivideRoundingUp(pages, step) * step;
  if (huge) {
    // To the end of a huge page.
    const uintptr_t end = grow_next_ + rounded * kPageBytes;
    rounded += (AlignUp(end, os::kHugePageBytes) - end) / kPageBytes;
  }
  // Near the limit, or at the end of the address space, only what is needed.
  return GrowBy(rounded * kPageBytes) ||
         (rounded > pages && GrowBy(pages * kPageBytes));
}

bool PageHeap::GrowBy(size_t bytes) {
  if (bytes > grow_limit_ - grow_next_ && !AddArenas(bytes)) return false;
  bytes = std::min<size_t>(bytes, grow_limit_ - grow_next_);
  if (!GrowInto(grow_next_, bytes)) return false;
  grow_next_ += bytes;
  return true;
}

bool PageHeap::GrowInto(uintptr_t base, size_t bytes) {
  if (!os::Prepare(base, bytes)) return false;
  if (UsesHugePages()) {
    const uintptr_t first = AlignUp(base, os::kHugePageBytes);
    const uintptr_t end = AlignDown(base + bytes, os::kHugePageBytes);
    if (first < end) os::AllowHugePages(first, end - first);
  }
  pages_.Grow(base, bytes / kPageBytes);
  mapped_bytes_ += bytes;
  lowest_.store(std::min(lowest_address(), base), std::memory_order_relaxed);
  highest_.store(std::max(highest_address(), base + bytes),
                 std::memory_order_relaxed);
  return true;
}

// Makes the region [grow_next_, grow_limit_) at least `bytes` long.
bool PageHeap::AddArenas(size_t bytes) {
  const size_t remaining = grow_limit_ - grow_next_;
  size_t wanted = AlignUp(bytes - remaining, kArenaBytes);
  // The records of arenas stay: do not buy them for a request that must fail.
  if (!ledger_->HasRoomFor(bytes + wanted / kArenaBytes * sizeof(Arena))) {
    return false;
  }
  // Right behind the region, so that the run can straddle old and new arenas.
  const bool adjacent =
      grow_limit_ != 0 && address_space_.ReserveAt(grow_limit_, wanted);
  uintptr_t base = grow_limit_;
  size_t padding = 0;
  if (!adjacent) {
    if (pages_.arena_count() == 0) {
      padding = address_space_.first_padding_pages() * kPageBytes;
    }
    wanted = AlignUp(bytes + padding, kArenaBytes);
    base = address_space_.Reserve(wanted);
    if (base == 0) return false;
  }
  size_t added = 0;
  if (arena_map_.Prepare(base, wanted)) {
    while (added < wanted && AddArena(base + added)) added += kArenaBytes;
  }
  // What was added stays usable; the rest goes back.
  if (added < wanted) address_space_.Return(base + added, wanted - added);
  if (added == 0) return false;
  if (adjacent) {
    grow_limit_ += added;
  } else {
    // What is left of the old ones; if that fails, it is never used.
    if (remaining > 0) (void)GrowInto(grow_next_, remaining);
    // Pages below grow_next_ count as taken, like all that have not been grown
    // into.
    grow_next_ = base + padding;
    grow_limit_ = base + added;
  }
  return grow_limit_ - grow_next_ >= bytes;
}

bool PageHeap::AddArena(uintptr_t base) {
  auto* arena =
      static_cast<Arena*>(persistent_->Allocate(sizeof(Arena), alignof(Arena)));
  if (arena == nullptr || !arenas_.Prepare()) return false;
  if (options_.store_shadow) {
    arena->store_shadow =
        reinterpret_cast<uint64_t*>(os::Allocate(kArenaBytes));
    if (arena->store_shadow == nullptr) return false;
  }
  arena->base = base;
  arena->zeroed_base.store(base, std::memory_order_relaxed);
  if (!pages_.AddArena(arena)) {
    if (arena->store_shadow != nullptr) {
      os::Release(reinterpret_cast<uintptr_t>(arena->store_shadow),
                  kArenaBytes);
    }
    return false;
  }
  arena_map_.Insert(arena);
  arenas_.Add(arena);
  return true;
}

size_t PageHeap::ResidentBytes() const {
  size_t bytes = 0;
  for (const Arena* arena : arena_snapshot()) {
    bytes += os::ResidentBytes(arena->base, kArenaBytes);
  }
  return bytes;
}

}  // namespace loam
