// A cache of strings that forgets what was used least recently: a hash table
// whose entries are on a doubly linked list in the order of their last use. The
// few frequent keys are mostly found, and some of those get a new string; of
// the many rare ones most are not found and replace the oldest entry. So old
// objects refer to new ones all over, and what dies is old: nothing for a
// collector that counts on objects to die young. Each thread has a cache of its
// own.
//
// malloc frees an entry when the cache forgets it. Collectors have a heap of a
// fixed size, a multiple of what is alive.

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, capacity, 300'000, "entries, of all caches");
ABSL_FLAG(int, operations, 2'000'000, "look-ups, of all threads");
ABSL_FLAG(int, threads, 1, "each with a cache of its own");

struct Entry {
  peer::Member<Entry> next_in_bucket;
  peer::Member<Entry> newer;
  peer::Member<Entry> older;
  peer::Member<char> text;
  uint64_t key;
  uint32_t length;
  uint32_t hits;
};
PEER_LAYOUT(Entry, next_in_bucket, newer, older, text);

struct Buckets {
  uint64_t mask;
};
PEER_ARRAY_LAYOUT(Buckets, peer::Member<Entry>);

namespace {

// Keys per entry of capacity.
constexpr size_t kKeysPerEntry = 4;
// One in so many finds is followed by a new string.
constexpr uint64_t kUpdateEvery = 4;
// Of an entry, its string of 136 bytes on average, and its bucket.
constexpr size_t kLiveBytesPerEntry = 48 + 144 + 12;

struct Types {
  explicit Types(peer::Heap& heap) : entry(heap), buckets(heap) {}
  peer::Type<Entry> entry;
  peer::Type<Buckets> buckets;
};

class Cache {
 public:
  Cache(const peer::Thread& thread, const Types& types, size_t capacity,
        uint64_t seed)
      : thread_(thread),
        types_(types),
        capacity_(capacity),
        random_(seed),
        buckets_(thread,
                 types.buckets.NewArray(thread, std::bit_ceil(capacity))),
        newest_(thread),
        oldest_(thread) {
    buckets_->mask = std::bit_ceil(capacity) - 1;
  }

  uint64_t Run(size_t operations) {
    // Filled first, in the order of the keys.
    for (uint64_t key = 0; key < capacity_; key++) Use(key);
    for (size_t i = 0; i < operations; i++) {
      Use(random_.SkewedBelow(kKeysPerEntry * capacity_));
    }
    return checksum_ + size_;
  }

 private:
  peer::Member<Entry>& BucketOf(uint64_t key) {
    const uint64_t hash = (key * 0x9e3779b97f4a7c15u) >> 20;
    return peer::Elements(buckets_.get())[hash & buckets_->mask];
  }

  void Use(uint64_t key) {
    Entry* entry = BucketOf(key);
    while (entry != nullptr && entry->key != key) entry = entry->next_in_bucket;
    if (entry == nullptr) return Add(key);
    entry->hits++;
    checksum_ += static_cast<unsigned char>(entry->text[entry->length / 2]);
    if (entry != newest_.get()) {
      Unlink(entry);
      LinkAsNewest(entry);
    }
    if (random_.Below(kUpdateEvery) != 0) return;
    // On the list, so alive.
    peer::Free(entry->text);
    SetNewText(entry);
  }

  void Add(uint64_t key) {
    if (size_ == capacity_) ForgetOldest();
    peer::Local<Entry> entry(thread_, types_.entry.New(thread_));
    entry->key = key;
    peer::Member<Entry>& bucket = BucketOf(key);
    entry->next_in_bucket.Set(thread_, entry, bucket);
    bucket.Set(thread_, buckets_, entry);
    LinkAsNewest(entry);
    size_++;
    SetNewText(entry);
  }

  // 8 to 264 bytes.
  void SetNewText(Entry* entry) {
    const uint32_t length = 8 + static_cast<uint32_t>(random_.Below(257));
    entry->length = length;
    entry->text.Set(thread_, entry,
                    static_cast<char*>(peer::NewBytes(thread_, length)));
    std::memset(entry->text, static_cast<int>(entry->key + length), length);
  }

  void ForgetOldest() {
    Entry* const entry = oldest_;
    checksum_ += entry->hits;
    Unlink(entry);
    peer::Member<Entry>* place = &BucketOf(entry->key);
    void* holder = buckets_.get();
    while (*place != entry) {
      holder = place->get();
      place = &(*place)->next_in_bucket;
    }
    place->Set(thread_, holder, entry->next_in_bucket);
    size_--;
    peer::Free(entry->text);
    peer::Free(entry);
  }

  void Unlink(Entry* entry) {
    Entry* const newer = entry->newer;
    Entry* const older = entry->older;
    if (newer != nullptr) {
      newer->older.Set(thread_, newer, older);
    } else {
      newest_ = older;
    }
    if (older != nullptr) {
      older->newer.Set(thread_, older, newer);
    } else {
      oldest_ = newer;
    }
    // A conservative collector that takes a dead entry for alive shall not keep
    // all that followed it.
    entry->newer.Set(thread_, entry, nullptr);
    entry->older.Set(thread_, entry, nullptr);
  }

  void LinkAsNewest(Entry* entry) {
    Entry* const second = newest_;
    entry->older.Set(thread_, entry, second);
    if (second != nullptr) {
      second->newer.Set(thread_, second, entry);
    } else {
      oldest_ = entry;
    }
    newest_ = entry;
  }

  const peer::Thread& thread_;
  const Types& types_;
  const size_t capacity_;
  benchmarks::Random random_;
  peer::Local<Buckets> buckets_;
  peer::Local<Entry> newest_;
  peer::Local<Entry> oldest_;
  size_t size_ = 0;
  uint64_t checksum_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const auto threads =
      static_cast<size_t>(std::max(1, absl::GetFlag(FLAGS_threads)));
  const size_t capacity =
      static_cast<size_t>(absl::GetFlag(FLAGS_capacity)) / threads;
  const size_t operations =
      static_cast<size_t>(absl::GetFlag(FLAGS_operations)) / threads;
  benchmarks::WorkloadRun run(
      static_cast<double>(threads * capacity * kLiveBytesPerEntry));
  const Types types(run.heap());
  run.TimeThreads(threads, [&](const peer::Thread& thread, size_t i) {
    return Cache(thread, types, capacity, i).Run(operations);
  });
  run.Print();
  return 0;
}
