// Large arrays of references, whose elements change places all the time: one
// array after the other is replaced by a copy of another one. Some of the
// copy's elements are replaced by new small objects, others exchanged at random
// or sorted. Nearly all of the heap is references, which a collector has to
// follow; after a while they lead everywhere.
//
// Elements are shared by arrays, so malloc, which would have to count
// references, is not asked. The heap has a fixed size, a multiple of what is
// alive.

#include <algorithm>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, arrays, 32, "of the same length");
ABSL_FLAG(int, length, 100'000, "elements of an array");
ABSL_FLAG(int, copies, 400, "of arrays");

struct Item {
  peer::Member<Item> replaced;  // by this one, unless that had replaced another
  uint64_t key;
};
PEER_LAYOUT(Item, replaced);

struct Array {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Array, peer::Member<Item>);

struct Arrays {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Arrays, peer::Member<Array>);

namespace {

// Of a copy's elements, one in so many is replaced, exchanged, in the part
// sorted.
constexpr size_t kReplacedOneIn = 4;
constexpr size_t kExchangedOneIn = 4;
constexpr size_t kSortedOneIn = 16;
// Of all elements, one in so many is in the checksum.
constexpr size_t kSummedOneIn = 16;
// A reference, and the share of an object that is alive for it.
constexpr size_t kLiveBytesPerElement = 8 + 16;

struct Types {
  explicit Types(peer::Heap& heap) : item(heap), array(heap), arrays(heap) {}
  peer::Type<Item> item;
  peer::Type<Array> array;
  peer::Type<Arrays> arrays;
};

class Work {
 public:
  Work(const peer::Thread& thread, const Types& types, size_t arrays,
       size_t length)
      : thread_(thread),
        types_(types),
        length_(length),
        all_(thread, types.arrays.NewArray(thread, arrays)) {
    all_->count = arrays;
    for (size_t i = 0; i < arrays; i++) {
      peer::Local<Array> array(thread_, NewArray());
      for (size_t j = 0; j < length; j++) {
        Item* const item = NewItem();
        peer::Elements(array.get())[j].Set(thread_, array, item);
      }
      peer::Elements(all_.get())[i].Set(thread_, all_, array);
    }
  }

  uint64_t Run(int copies) {
    for (int i = 0; i < copies; i++) {
      peer::Local<Array> array(thread_, CopyOf(AnyArray()));
      Replace(array);
      for (size_t j = 0; j < length_ / kExchangedOneIn; j++) {
        Exchange(array, random_.Below(length_), random_.Below(length_));
      }
      const size_t sorted = length_ / kSortedOneIn;
      Sort(array, random_.Below(length_ - sorted), sorted);
      peer::Elements(all_.get())[random_.Below(all_->count)].Set(thread_, all_,
                                                                 array);
    }
    uint64_t checksum = 0;
    for (size_t i = 0; i < all_->count; i++) {
      Array* const array = peer::Elements(all_.get())[i];
      for (size_t j = i % kSummedOneIn; j < length_; j += kSummedOneIn) {
        checksum += (j + 1) * peer::Elements(array)[j]->key;
      }
    }
    return checksum;
  }

 private:
  Array* NewArray() {
    Array* const array = types_.array.NewArray(thread_, length_);
    array->count = length_;
    return array;
  }
  Item* NewItem() {
    Item* const item = types_.item.New(thread_);
    item->key = random_.Next() >> 32;
    return item;
  }
  Array* AnyArray() {
    return peer::Elements(all_.get())[random_.Below(all_->count)];
  }

  // `source` is one of the arrays, so alive.
  Array* CopyOf(Array* source) {
    Array* const copy = NewArray();
    for (size_t i = 0; i < length_; i++) {
      peer::Elements(copy)[i].Set(thread_, copy, peer::Elements(source)[i]);
    }
    return copy;
  }

  void Replace(Array* array) {
    for (size_t i = 0; i < length_ / kReplacedOneIn; i++) {
      Item* const item = NewItem();
      auto& element = peer::Elements(array)[random_.Below(length_)];
      if (element->replaced == nullptr) {
        item->replaced.Set(thread_, item, element);
      }
      element.Set(thread_, array, item);
    }
  }

  void Exchange(Array* array, size_t i, size_t j) {
    auto* const elements = peer::Elements(array);
    Item* const item = elements[i];
    elements[i].Set(thread_, array, elements[j]);
    elements[j].Set(thread_, array, item);
  }

  // Quicksort by key, of `count` elements.
  void Sort(Array* array, size_t from, size_t count) {
    thread_.poll();
    const auto key = [&](size_t i) { return peer::Elements(array)[i]->key; };
    while (count > 1) {
      const uint64_t pivot = key(from + (count - 1) / 2);
      size_t low = from;
      size_t high = from + count - 1;
      while (true) {
        while (key(low) < pivot) low++;
        while (key(high) > pivot) high--;
        if (low >= high) break;
        Exchange(array, low++, high--);
      }
      // Of [from, high] and [high + 1, from + count) the shorter one first.
      const size_t front = high + 1 - from;
      if (front < count - front) {
        Sort(array, from, front);
        from += front;
        count -= front;
      } else {
        Sort(array, from + front, count - front);
        count = front;
      }
    }
  }

  const peer::Thread& thread_;
  const Types& types_;
  const size_t length_;
  benchmarks::Random random_{1};
  peer::Local<Arrays> all_;
};

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const auto arrays = static_cast<size_t>(absl::GetFlag(FLAGS_arrays));
  const auto length = static_cast<size_t>(absl::GetFlag(FLAGS_length));
  benchmarks::WorkloadRun run(
      static_cast<double>(arrays * length * kLiveBytesPerElement));
  const Types types(run.heap());
  run.Time([&] {
    return Work(run.thread(), types, arrays, length)
        .Run(absl::GetFlag(FLAGS_copies));
  });
  run.Print();
  return 0;
}
