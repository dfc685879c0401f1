#include "runtime/specials/heap_profile.h"

#include <algorithm>
#include <cstring>

#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

constexpr size_t kFirstHeads = kOsPageBytes / sizeof(ProfileBucket*);

uint64_t Mix(uint64_t hash, uint64_t word) {
  // The finalizer of MurmurHash3 (A. Appleby), over a running sum.
  hash = (hash ^ word) * 0xff51afd7ed558ccd;
  return hash ^ (hash >> 32);
}

uint64_t Hash(const CallStack& stack, const ProfiledCell& cell) {
  uint64_t hash =
      Mix(reinterpret_cast<uintptr_t>(cell.type),
          cell.cell_bytes << 8 | static_cast<uint64_t>(cell.object));
  hash = Mix(hash, stack.embedder_frames);
  for (size_t i = 0; i < stack.word_count(); i++) {
    hash = Mix(hash, stack.words[i]);
  }
  return hash;
}

size_t BytesOf(const CallStack& stack) {
  return sizeof(ProfileBucket) + stack.word_count() * sizeof(uintptr_t);
}

}  // namespace

HeapProfile::~HeapProfile() {
  if (heads_ == 0) return;
  const size_t bytes = heads_ * sizeof(ProfileBucket*);
  os::Release(reinterpret_cast<uintptr_t>(table_), bytes);
  persistent_->ledger()->Refund(MemoryLedger::Use::kMetadata, bytes);
}

size_t HeapProfile::MaxBytes() const {
  constexpr uint64_t kShareOfLimit = 32;
  return std::min<uint64_t>(kMaxBytes,
                            persistent_->ledger()->limit() / kShareOfLimit);
}

// A table of twice as many chains. One that cannot grow has longer chains.
bool HeapProfile::Grow() {
  MemoryLedger* ledger = persistent_->ledger();
  const size_t heads = heads_ == 0 ? kFirstHeads : 2 * heads_;
  const size_t bytes = heads * sizeof(ProfileBucket*);
  if (!ledger->TryCharge(MemoryLedger::Use::kMetadata, bytes)) return false;
  const uintptr_t memory = os::Allocate(bytes);
  if (memory == 0) {
    ledger->Refund(MemoryLedger::Use::kMetadata, bytes);
    return false;
  }
  auto** table = reinterpret_cast<ProfileBucket**>(memory);
  for (ProfileBucket* b = newest_; b != nullptr; b = b->older) {
    ProfileBucket** head = &table[b->hash & (heads - 1)];
    b->next = *head;
    *head = b;
  }
  if (heads_ != 0) {
    const size_t old_bytes = heads_ * sizeof(ProfileBucket*);
    os::Release(reinterpret_cast<uintptr_t>(table_), old_bytes);
    ledger->Refund(MemoryLedger::Use::kMetadata, old_bytes);
    bytes_ -= old_bytes;
  }
  bytes_ += bytes;
  table_ = table;
  heads_ = heads;
  return true;
}

ProfileBucket* HeapProfile::Find(const CallStack& stack,
                                 const ProfiledCell& cell, uint64_t hash) {
  for (ProfileBucket* b = table_[hash & (heads_ - 1)]; b != nullptr;
       b = b->next) {
    if (b->hash == hash && b->cell == cell &&
        b->embedder_frames == stack.embedder_frames &&
        b->native_frames == stack.native_frames &&
        std::equal(stack.words, stack.words + stack.word_count(), b->words())) {
      return b;
    }
  }
  return nullptr;
}

ProfileBucket* HeapProfile::Add(const CallStack& stack,
                                const ProfiledCell& cell, uint64_t hash) {
  const size_t words = stack.word_count();
  const size_t bytes = BytesOf(stack);
  auto* bucket = static_cast<ProfileBucket*>(
      persistent_->Allocate(bytes, alignof(ProfileBucket)));
  if (bucket == nullptr) return nullptr;
  bytes_ += bytes;
  if (bucket_count_ >= 2 * heads_) Grow();
  bucket->hash = hash;
  bucket->cell = cell;
  bucket->embedder_frames = stack.embedder_frames;
  bucket->native_frames = stack.native_frames;
  bucket->cycle = cycles();
  std::copy_n(stack.words, words, bucket->words());
  ProfileBucket** head = &table_[hash & (heads_ - 1)];
  bucket->next = *head;
  *head = bucket;
  bucket->older = newest_;
  newest_ = bucket;
  bucket_count_++;
  return bucket;
}

ProfileBucket* HeapProfile::FindOrAdd(const CallStack& stack,
                                      const ProfiledCell& cell) {
  if (heads_ == 0 && !Grow()) return nullptr;
  const uint64_t hash = Hash(stack, cell);
  if (ProfileBucket* found = Find(stack, cell, hash)) return found;
  const size_t max_bytes = MaxBytes();
  if (bucket_count_ < kMaxBuckets && bytes_ + BytesOf(stack) <= max_bytes) {
    return Add(stack, cell, hash);
  }
  CallStack none;
  const uint64_t hash_of_none = Hash(none, cell);
  if (ProfileBucket* found = Find(none, cell, hash_of_none)) return found;
  // Programs may have any number of sizes.
  if (bytes_ + BytesOf(none) > max_bytes + max_bytes / 8) return nullptr;
  return Add(none, cell, hash_of_none);
}

void HeapProfile::Advance(ProfileBucket* bucket, uint64_t now) {
  // Nothing waits for a moment later than two cycles on.
  for (int i = 0; i < 2 && bucket->cycle < now; i++) {
    bucket->published.Add(bucket->waiting[0]);
    bucket->waiting[0] = bucket->waiting[1];
    bucket->waiting[1] = {};
    bucket->cycle++;
  }
  bucket->cycle = now;
}

ProfileBucket* HeapProfile::BucketOf(const CallStack& stack,
                                     const ProfiledCell& cell) {
  const MutexLock lock(&mutex_);
  return FindOrAdd(stack, cell);
}

void HeapProfile::CountAllocated(ProfileBucket* bucket, double objects) {
  const MutexLock lock(&mutex_);
  Advance(bucket, cycles());
  bucket->waiting[1].allocated_samples++;
  bucket->waiting[1].allocated_objects += objects;
}

void HeapProfile::CountFreed(ProfileBucket* bucket, double objects) {
  const MutexLock lock(&mutex_);
  Advance(bucket, cycles());
  bucket->waiting[0].freed_samples++;
  bucket->waiting[0].freed_objects += objects;
}

void HeapProfile::CountYoung(ProfileBucket* bucket, double objects, bool died) {
  const MutexLock lock(&mutex_);
  Advance(bucket, cycles());
  // It was to be told at the moment after the last marking.
  ProfileCounts* counts = &bucket->waiting[0];
  counts->allocated_samples++;
  counts->allocated_objects += objects;
  if (!died) return;
  counts->freed_samples++;
  counts->freed_objects += objects;
}

size_t HeapProfile::bucket_count() {
  const MutexLock lock(&mutex_);
  return bucket_count_;
}

size_t HeapProfile::Read(uint64_t moment, Reading* readings, size_t capacity) {
  const MutexLock lock(&mutex_);
  const uint64_t now = cycles();
  size_t read = 0;
  for (ProfileBucket* b = newest_; b != nullptr && read < capacity;
       b = b->older) {
    Advance(b, now);
    ProfileCounts counts = b->published;
    if (now == 0) {
      counts.Add(b->waiting[0]);
      counts.Add(b->waiting[1]);
    } else if (moment > now) {
      counts.Add(b->waiting[0]);
    }
    readings[read++] = {b, counts};
  }
  return bucket_count_;
}

}  // namespace loam
