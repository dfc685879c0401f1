// Random graphs of objects of every kind, marked under every encoding and with
// stacks of every size: exactly what a plain search reaches is marked.

#include <map>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/gc/marker.h"
#include "tests/base/test_random.h"
#include "tests/gc/mark_fixture.h"

namespace loam {
namespace {

constexpr size_t kLargeStack = size_t{64} << 20;
constexpr uint64_t kLow48 = (uint64_t{1} << 48) - 1;
constexpr uint64_t kScramble = 0x5a5a'0000'0000'0001;

uintptr_t Unscramble(uintptr_t word) {
  return (word & 1) != 0 ? word ^ kScramble : 0;
}

// One encoding: how the test writes references, and words that look like some.
struct TestEncoding {
  const char* name;
  ValueEncoding encoding;
  uintptr_t (*reference)(uintptr_t address);  // address: a multiple of 8
  uintptr_t (*other)(uintptr_t address);
};

std::vector<TestEncoding> Encodings() {
  std::vector<TestEncoding> result(4);
  result[0] = {"pointers",
               {},
               [](uintptr_t a) { return a; },
               [](uintptr_t a) { return ~a; }};
  result[1] = {"low tags",
               {},
               [](uintptr_t a) { return a | 5; },
               [](uintptr_t a) { return a | 2; }};
  result[1].encoding.kind = EncodingKind::kLowTag;
  result[1].encoding.low_tag_mask = 7;
  result[1].encoding.low_tag_references = 1 << 5;
  result[2] = {"NaN boxes",
               {},
               [](uintptr_t a) { return uint64_t{0xfffa} << 48 | a; },
               [](uintptr_t a) { return uint64_t{0x7ffa} << 48 | a; }};
  result[2].encoding.kind = EncodingKind::kNanBox;
  result[2].encoding.nanbox_shift = 48;
  result[2].encoding.nanbox_first_tag = 0xfff9;
  result[2].encoding.nanbox_last_tag = 0xfffb;
  result[2].encoding.nanbox_payload_mask = kLow48;
  result[3] = {"callback",
               {},
               [](uintptr_t a) { return a ^ kScramble; },
               [](uintptr_t a) { return a; }};
  result[3].encoding.kind = EncodingKind::kCallback;
  result[3].encoding.decode = Unscramble;
  return result;
}

class Graph {
 public:
  Graph(const TestEncoding& encoding, size_t stack_bytes, TestRandom* random)
      : encoding_(encoding),
        random_(*random),
        heap_(encoding.encoding, stack_bytes) {
    if (random_.OneIn(2)) heap_.marker()->set_marked_by_region(0);
  }

  // Large objects refer to up to `wide` others.
  void Build(size_t small, size_t large, size_t wide) {
    wide_ = wide;
    for (size_t i = 0; i < small; i++) {
      Add(static_cast<TestKind>(
          random_.Below(static_cast<size_t>(TestKind::kLargeBytes))));
    }
    for (size_t i = 0; i < large; i++) {
      const auto first = static_cast<size_t>(TestKind::kLargeBytes);
      Add(static_cast<TestKind>(
          random_.Between(first, static_cast<size_t>(TestKind::kCount) - 1)));
    }
    // One that is sure to be reached, and to be wide: the last.
    Add(TestKind::kLargeValues);
    for (size_t i = 0; i < objects_.size(); i++) Fill(i);
  }

  void MarkAndCompare(bool with_small_stack) {
    std::vector<size_t> roots;
    if (with_small_stack) roots.push_back(objects_.size() - 1);
    for (size_t n = random_.Between(1, 20); n > 0; n--) {
      roots.push_back(random_.Below(objects_.size()));
    }
    heap_.Unmark();
    Marker* marker = heap_.marker();
    marker->Begin();
    for (const size_t root : roots) {
      const uintptr_t address = Interior(root);
      if (random_.OneIn(2)) {
        marker->VisitPointer(address);
      } else {
        marker->VisitValue(encoding_.reference(address & ~uintptr_t{7}));
      }
      if (random_.OneIn(3)) marker->Drain();
    }
    marker->Drain();
    ASSERT_TRUE(heap_.stack()->empty());
    heap_.work()->Trim();

    const std::vector<bool> reached = Search(roots);
    uint64_t objects = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < objects_.size(); i++) {
      ASSERT_EQ(MarkFixture::IsMarked(objects_[i]), reached[i])
          << "object " << i << ", cells of " << objects_[i].span->cell_bytes;
      if (!reached[i]) continue;
      objects++;
      bytes += objects_[i].span->cell_bytes;
    }
    EXPECT_EQ(heap_.CountMarked(), objects) << "something that is no object";
    EXPECT_EQ(marker->marked_objects(), objects);
    EXPECT_EQ(marker->marked_bytes(), bytes);
    if (!with_small_stack) {
      EXPECT_EQ(marker->rescan_rounds(), 0);
    }
    rescan_rounds_ += marker->rescan_rounds();
  }

  uint64_t rescan_rounds() const { return rescan_rounds_; }
  MarkFixture* heap() { return &heap_; }

 private:
  void Add(TestKind kind) {
    objects_.push_back(heap_.New(kind));
    references_.emplace_back();
  }

  // An address inside an object.
  uintptr_t Interior(size_t object) {
    const TestObject& o = objects_[object];
    return o.address + (random_.OneIn(2) ? 0 : random_.Below(o.bytes));
  }

  // Data words look like references; slots hold some.
  void Fill(size_t i) {
    const TestObject& object = objects_[i];
    for (size_t w = 0; w < object.bytes / kWordBytes; w++) {
      if (object.bytes > 4096 && w % 50 != 0) continue;
      const TestSlot word = {WordKind::kData, object.address + w * kWordBytes};
      MarkFixture::Store(word, Bait());
    }
    // About one reference for each object, so that much is not reachable.
    const size_t most = object.bytes > 4096 ? wide_ : 2;
    const size_t wanted =
        i + 1 == objects_.size() ? wide_ : random_.Below(most + 1);
    for (const TestSlot& slot : object.slots) {
      const bool chosen = random_.Below(object.slots.size()) < wanted;
      MarkFixture::Store(slot,
                         chosen ? Refer(i, slot.kind) : NoReference(slot));
    }
  }
  uintptr_t Bait() {
    const uintptr_t address = Interior(random_.Below(objects_.size()));
    return random_.OneIn(2) ? address
                            : encoding_.reference(address & ~uintptr_t{7});
  }
  uintptr_t Refer(size_t from, WordKind kind) {
    const size_t to = random_.Below(objects_.size());
    references_[from].push_back(to);
    const uintptr_t address = Interior(to);
    return kind == WordKind::kPointer
               ? address
               : encoding_.reference(address & ~uintptr_t{7});
  }
  uintptr_t NoReference(const TestSlot& slot) {
    if (random_.OneIn(2)) return 0;
    const uintptr_t address = Interior(random_.Below(objects_.size()));
    return slot.kind == WordKind::kPointer
               ? ~address
               : encoding_.other(address & ~uintptr_t{7});
  }

  std::vector<bool> Search(const std::vector<size_t>& roots) const {
    std::vector<bool> reached(objects_.size());
    std::vector<size_t> pending = roots;
    while (!pending.empty()) {
      const size_t i = pending.back();
      pending.pop_back();
      if (reached[i]) continue;
      reached[i] = true;
      pending.insert(pending.end(), references_[i].begin(),
                     references_[i].end());
    }
    return reached;
  }

  const TestEncoding& encoding_;
  TestRandom& random_;
  MarkFixture heap_;
  std::vector<TestObject> objects_;
  std::vector<std::vector<size_t>> references_;  // by index, of each object
  size_t wide_ = 0;
  uint64_t rescan_rounds_ = 0;
};

TEST(MarkerRandomTest, MarksExactlyTheReachable) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (const TestEncoding& encoding : Encodings()) {
    SCOPED_TRACE(encoding.name);
    for (int round = 0; round < 4; round++) {
      Graph graph(encoding, kLargeStack, &random);
      graph.Build(random.Between(10, 5000), random.Below(8), 300);
      for (int i = 0; i < 3; i++) {
        ASSERT_NO_FATAL_FAILURE(graph.MarkAndCompare(false));
      }
    }
  }
}

// Whatever is reached is marked and counted by exactly one of several markers.
TEST(MarkerRandomTest, SeveralMarkersMarkExactlyTheReachable) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (const TestEncoding& encoding : Encodings()) {
    SCOPED_TRACE(encoding.name);
    for (const uint32_t workers : {1, 2, 7, 15}) {
      SCOPED_TRACE(workers);
      Graph graph(encoding, kLargeStack, &random);
      graph.heap()->AddWorkers(workers);
      graph.Build(random.Between(10, 20'000), random.Below(8), 300);
      for (int i = 0; i < 5; i++) {
        ASSERT_NO_FATAL_FAILURE(graph.MarkAndCompare(false));
      }
    }
  }
}

// The stacks have room for 512 words, or for none at all: marking cannot fail.
void MarkWithTheSmallestStacks(uint32_t workers) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (const TestEncoding& encoding : Encodings()) {
    SCOPED_TRACE(encoding.name);
    uint64_t rescan_rounds = 0;
    for (int round = 0; round < 4; round++) {
      Graph graph(encoding, kOsPageBytes, &random);
      if (workers > 0) graph.heap()->AddWorkers(workers);
      graph.Build(random.Between(3000, 5000), random.Between(2, 10), 4000);
      for (int i = 0; i < 3; i++) {
        ASSERT_NO_FATAL_FAILURE(graph.MarkAndCompare(true));
      }
      rescan_rounds += graph.rescan_rounds();
    }
    EXPECT_GT(rescan_rounds, 0) << "no stack ever overflowed";
  }
}

TEST(MarkerRandomTest, MarksEverythingWithTheSmallestStack) {
  MarkWithTheSmallestStacks(0);
}

TEST(MarkerRandomTest, SeveralMarkersMarkEverythingWithTheSmallestStacks) {
  MarkWithTheSmallestStacks(3);
}

TEST(MarkerRandomTest, MarksEverythingWithoutAnyStack) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (const TestEncoding& encoding : Encodings()) {
    SCOPED_TRACE(encoding.name);
    Graph graph(encoding, kLargeStack, &random);
    graph.Build(2000, 4, 300);
    graph.heap()->ledger()->set_limit(graph.heap()->ledger()->committed());
    for (int i = 0; i < 3; i++) {
      ASSERT_NO_FATAL_FAILURE(graph.MarkAndCompare(true));
    }
    EXPECT_GT(graph.rescan_rounds(), 0);
  }
}

// One object that refers to thousands, each of which has children: too wide for
// the stack whatever the order.
TEST(MarkerRandomTest, WideObjectsOverflowTheSmallestStack) {
  MarkFixture heap(ValueEncoding(), kOsPageBytes);
  const TestObject wide = heap.New(TestKind::kLargeValues);
  size_t children = 0;
  for (size_t i = 0; i < wide.slots.size(); i += 4) {
    const TestObject child = heap.NewLink();
    const TestObject grandchild = heap.NewLink();
    MarkFixture::Store(wide.slots[i], child.address);
    MarkFixture::Store(child.slots[0], grandchild.address);
    children += 2;
  }
  ASSERT_GT(children, 10'000);
  heap.marker()->Begin();
  heap.marker()->VisitPointer(wide.address);
  heap.marker()->Drain();
  EXPECT_EQ(heap.marker()->marked_objects(), 1 + children);
  EXPECT_EQ(heap.CountMarked(), 1 + children);
  EXPECT_GT(heap.marker()->rescan_rounds(), 0);
  EXPECT_LE(heap.marker()->rescan_rounds(), children);
  heap.pages()->ForEachSpan(
      [](const Span* span) { EXPECT_FALSE(span->needs_rescan); });
}

}  // namespace
}  // namespace loam
