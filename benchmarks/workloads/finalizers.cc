// A table whose entries stand for something outside of the heap, here a number
// that a pool gave out: each has a finalizer, which gives the number back.
// Random entries are replaced all the time; finalizers are run now and then.
// At the end everything is dropped: finalizers_run should be
// finalizers_expected, though a conservative collector may keep a few.
// most_open says how soon they ran: the most numbers in use at once.
//
// What waits for its finalizer is alive, with what it refers to, so that a heap
// of a fixed size may be full of it: unless told otherwise the heap grows by
// the peer's own rule, and peak_resident_mib is to be compared too. malloc has
// nothing like it.

#include <algorithm>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/support/report.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, entries, 200'000, "of the table");
ABSL_FLAG(int, replacements, 1'000'000, "of entries");

struct Entry {
  peer::Member<char> name;
  uint64_t key;
  uint32_t number;  // from the pool
  uint32_t length;  // of the name
};
PEER_LAYOUT(Entry, name);

struct Table {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Table, peer::Member<Entry>);

namespace {

constexpr size_t kReplacementsPerRun = 1000;
// Of an entry, its name and its place.
constexpr size_t kLiveBytesPerEntry = 32 + 48 + 8;

// Gives out numbers; static, since a finalizer gets nothing but the object.
class Pool {
 public:
  static uint32_t Open() {
    if (free_.empty()) return static_cast<uint32_t>(most_open_++);
    const uint32_t number = free_.back();
    free_.pop_back();
    return number;
  }
  static void Close(Entry* entry) {
    free_.push_back(entry->number);
    closed_++;
  }
  static size_t closed() { return closed_; }
  static size_t most_open() { return most_open_; }

 private:
  inline static std::vector<uint32_t> free_;
  inline static size_t closed_ = 0;
  inline static size_t most_open_ = 0;
};

class Work {
 public:
  Work(const peer::Thread& thread, const peer::Type<Entry>& entries,
       Table* table)
      : thread_(thread), entries_(entries), table_(thread, table) {}

  uint64_t Run(size_t replacements) {
    for (size_t i = 0; i < table_->count; i++) Put(i);
    for (size_t i = 0; i < replacements; i++) {
      if (i % kReplacementsPerRun == 0) peer::RunFinalizers(thread_);
      const size_t place = random_.Below(table_->count);
      const Entry* const old = peer::Elements(table_.get())[place];
      checksum_ += old->key + static_cast<unsigned char>(*old->name);
      Put(place);
    }
    return checksum_;
  }

  // The second collection is for what stale words kept from the first.
  void DropAll() {
    for (size_t i = 0; i < table_->count; i++) {
      peer::Elements(table_.get())[i].Set(thread_, table_, nullptr);
    }
    for (int i = 0; i < 2; i++) {
      thread_.Collect();
      peer::RunFinalizers(thread_);
    }
  }

 private:
  // A new entry, with a name of 16 to 79 bytes.
  void Put(size_t place) {
    peer::Local<Entry> entry(thread_, entries_.New(thread_));
    entry->key = ++made_;
    entry->number = Pool::Open();
    peer::SetFinalizer<&Pool::Close>(thread_, entry.get());
    entry->length = 16 + static_cast<uint32_t>(random_.Below(64));
    char* const name =
        static_cast<char*>(peer::NewBytes(thread_, entry->length));
    std::fill_n(name, entry->length, static_cast<char>(made_));
    entry->name.Set(thread_, entry, name);
    peer::Elements(table_.get())[place].Set(thread_, table_, entry);
  }

  const peer::Thread& thread_;
  const peer::Type<Entry>& entries_;
  peer::Local<Table> table_;
  benchmarks::Random random_{1};
  uint64_t made_ = 0;
  uint64_t checksum_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  absl::SetFlag(&FLAGS_factor, 0);
  absl::ParseCommandLine(argc, argv);
  const auto entries = static_cast<size_t>(absl::GetFlag(FLAGS_entries));
  const auto replacements =
      static_cast<size_t>(absl::GetFlag(FLAGS_replacements));
  benchmarks::WorkloadRun run(
      static_cast<double>(entries * kLiveBytesPerEntry));
  const peer::Type<Entry> type(run.heap());
  const peer::Type<Table> tables(run.heap());
  Table* const table = tables.NewArray(run.thread(), entries);
  table->count = entries;
  Work work(run.thread(), type, table);
  run.Time([&] {
    const uint64_t checksum = work.Run(replacements);
    work.DropAll();
    return checksum;
  });
  benchmarks::Report& report = run.report();
  report.Add("finalizers_run", static_cast<double>(Pool::closed()));
  report.Add("finalizers_expected",
             static_cast<double>(entries + replacements));
  report.Add("most_open", static_cast<double>(Pool::most_open()));
  run.Print();
  return 0;
}
