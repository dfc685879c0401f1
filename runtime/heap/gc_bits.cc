#include "runtime/heap/gc_bits.h"

#include <cstring>

#include "runtime/base/fatal.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

constexpr size_t kBitsArenaBytes = 16 << 10;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kUsableBytes = kBitsArenaBytes - kHeaderBytes;
// The largest request, and so the most that the end of an arena can waste.
constexpr size_t kMaxBitsBytes = kMaxSpanCells / 8;

}  // namespace

// Zeroes enough for any span.
static constexpr uint64_t kNoBits[kMaxBitsBytes / kWordBytes] = {};

const uint64_t* NoBits() { return kNoBits; }

struct GcBits::Arena {
  Arena* link;
  // Bytes handed out; past kUsableBytes when full. Relaxed: whoever receives
  // the bits owns them, and publishes them with the span.
  std::atomic<size_t> used;
  alignas(kHeaderBytes) char bits[kUsableBytes];
};

GcBits::~GcBits() {
  MutexLock lock(&mutex_);
  FreeList(next_.load(std::memory_order_relaxed));
  FreeList(current_);
  FreeList(previous_);
  while (free_ != nullptr) {
    Arena* arena = free_;
    free_ = arena->link;
    os::Release(reinterpret_cast<uintptr_t>(arena), kBitsArenaBytes);
    ledger_->Refund(MemoryLedger::Use::kMetadata, kBitsArenaBytes);
  }
}

GcBits::Arena* GcBits::NewArena() {
  static_assert(sizeof(Arena) == kBitsArenaBytes);
  if (!ledger_->TryCharge(MemoryLedger::Use::kMetadata, kBitsArenaBytes)) {
    return nullptr;
  }
  const uintptr_t memory = os::Allocate(kBitsArenaBytes);
  if (memory == 0) {
    ledger_->Refund(MemoryLedger::Use::kMetadata, kBitsArenaBytes);
    return nullptr;
  }
  arena_count_++;
  return reinterpret_cast<Arena*>(memory);
}

// Puts a list on the free list, zeroing what was used.
void GcBits::FreeList(Arena* list) {
  while (list != nullptr) {
    Arena* arena = list;
    list = arena->link;
    size_t used = arena->used.load(std::memory_order_relaxed);
    if (used > kUsableBytes) used = kUsableBytes;
    memset(arena->bits, 0, used);
    arena->used.store(0, std::memory_order_relaxed);
    arena->link = free_;
    free_ = arena;
  }
}

size_t GcBits::ArenasNeeded() const {
  const size_t bytes = reserved_ + leaving_[0] + leaving_[1] + leaving_[2];
  // Per epoch: full arenas may each waste a request's worth, and the last one
  // is partly used.
  return 3 * (bytes / (kUsableBytes - kMaxBitsBytes) + 1) + 1;
}

bool GcBits::Reserve(size_t bytes) {
  MutexLock lock(&mutex_);
  reserved_ += bytes;
  while (arena_count_ < ArenasNeeded()) {
    Arena* arena = NewArena();
    if (arena == nullptr) {
      reserved_ -= bytes;
      return false;
    }
    arena->link = free_;
    free_ = arena;
  }
  return true;
}

void GcBits::Cancel(size_t bytes) {
  MutexLock lock(&mutex_);
  reserved_ -= bytes;
}

void GcBits::Unreserve(size_t bytes) {
  MutexLock lock(&mutex_);
  reserved_ -= bytes;
  leaving_[0] += bytes;
}

uint64_t* GcBits::New(size_t cells) {
  const size_t bytes = BytesFor(cells);
  LOAM_CHECK(bytes <= kMaxBitsBytes, "a span of %zu cells", cells);
  for (;;) {
    Arena* arena = next_.load(std::memory_order_acquire);
    if (arena != nullptr) {
      const size_t at = arena->used.fetch_add(bytes, std::memory_order_relaxed);
      if (at + bytes <= kUsableBytes) {
        return reinterpret_cast<uint64_t*>(arena->bits + at);
      }
    }
    MutexLock lock(&mutex_);
    if (next_.load(std::memory_order_relaxed) != arena) continue;
    Arena* fresh = free_;
    LOAM_CHECK(fresh != nullptr, "no room for mark bits: %zu bytes reserved",
               reserved_);
    free_ = fresh->link;
    fresh->link = arena;
    next_.store(fresh, std::memory_order_release);
  }
}

void GcBits::NextEpoch() {
  MutexLock lock(&mutex_);
  FreeList(previous_);
  previous_ = current_;
  current_ = next_.load(std::memory_order_relaxed);
  next_.store(nullptr, std::memory_order_release);
  leaving_[2] = leaving_[1];
  leaving_[1] = leaving_[0];
  leaving_[0] = 0;
  // Give back what a smaller heap no longer needs.
  while (free_ != nullptr && arena_count_ > ArenasNeeded() + 4) {
    Arena* arena = free_;
    free_ = arena->link;
    os::Release(reinterpret_cast<uintptr_t>(arena), kBitsArenaBytes);
    ledger_->Refund(MemoryLedger::Use::kMetadata, kBitsArenaBytes);
    arena_count_--;
  }
}

}  // namespace loam
