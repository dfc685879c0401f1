// Every kind of special, whatever becomes of the object, whatever its size:
// one table of kinds, and a test for each fate.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "api/loam.h"
#include "api/loam_specials.h"
#include "tests/api/test_heap.h"
#include "tests/api/tested_specials.h"

namespace loam_test {
namespace {

enum When { kAtFirstDeath, kAtLastDeath, kNever };

struct Kind {
  const char* name;
  std::unique_ptr<Tested> (*make)(const TestHeap& heap);
  // When an object dies that a finalizer makes reachable again.
  When resurrected;
  // In a circle of objects that all have one.
  When in_a_circle;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

template <typename T>
std::unique_ptr<Tested> Make(const TestHeap& heap) {
  return std::make_unique<T>(heap);
}

const Kind kKinds[] = {
    // The finalizer itself brings its object back.
    {"ordered", Make<TestedOrdered>, kAtFirstDeath, kNever},
    {"unordered", Make<TestedUnordered>, kAtFirstDeath, kAtFirstDeath},
    {"cleanup", Make<TestedCleanup>, kAtLastDeath, kAtFirstDeath},
    {"short", Make<TestedShort>, kAtFirstDeath, kAtFirstDeath},
    {"long", Make<TestedLong>, kAtLastDeath, kAtFirstDeath},
    {"watch", Make<TestedWatch>, kAtFirstDeath, kAtFirstDeath},
    {"word", Make<TestedWord>, kAtLastDeath, kAtFirstDeath},
    {"pin", Make<TestedPin>, kNever, kNever},
    {"weak_word", Make<TestedWeakWord>, kAtFirstDeath, kAtFirstDeath},
    {"ephemeron", Make<TestedEphemeron>, kAtFirstDeath, kAtFirstDeath},
    {"weak_map", Make<TestedWeakMap>, kAtFirstDeath, kAtFirstDeath},
    {"global", Make<TestedGlobal>, kAtFirstDeath, kAtFirstDeath},
    {"provider", Make<TestedProvider>, kAtFirstDeath, kAtFirstDeath},
};

enum class Size { kSmall, kTiny, kLarge, kInterior, kInteriorLarge };
constexpr const char* kSizeNames[] = {"small", "tiny", "large", "interior",
                                      "interior_large"};

loam_options CheckingOptions() {
  loam_options options = TestOptions();
  options.check.verify_marking = 1;
  options.check.poison = 1;
  return options;
}

class SpecialsTest : public testing::TestWithParam<std::tuple<Kind, Size>> {
 protected:
  SpecialsTest() : heap_(CheckingOptions()) {
    tested_ = kind().make(heap_);
    // What keeps the map and the holders.
    heap_.Collect();
    live_before_ = heap_.Stats().live_objects;
  }
  ~SpecialsTest() override { tested_->End(); }

  const Kind& kind() const { return std::get<0>(GetParam()); }
  Size size() const { return std::get<1>(GetParam()); }
  bool is_tiny() const { return size() == Size::kTiny; }
  bool is_pin() const { return std::string(kind().name) == "pin"; }

  // An object; rooted at index `i` of `kept`.
  void* New(size_t i = 0) {
    void* object = nullptr;
    switch (size()) {
      case Size::kTiny:
        // Alone in its cell.
        object = loam_alloc_bytes(heap_.m(), 15);
        memset(object, 0x3c, 15);
        break;
      case Size::kSmall:
        object = loam_alloc_slots(heap_.m(), 8);
        break;
      case Size::kInterior:
        object = loam_alloc_slots(heap_.m(), 40);
        break;
      default:
        object = loam_alloc_slots(heap_.m(), 20000);
    }
    heap_.kept.resize(std::max(heap_.kept.size(), i + 1));
    heap_.kept[i] = object;
    return object;
  }
  // The address that calls get.
  void* Address(void* object) const {
    return size() == Size::kInterior || size() == Size::kInteriorLarge
               ? static_cast<char*>(object) + 24
               : object;
  }
  void Refer(void* from, size_t slot, void* to) {
    auto* words = static_cast<loam_word*>(from);
    loam_store_value(heap_.m(), from, &words[slot],
                     reinterpret_cast<loam_word>(to));
  }
  void Drop() { heap_.kept.clear(); }
  void CollectAndRun() {
    heap_.Collect();
    size_t waiting = 1;
    while (waiting > 0) {
      EXPECT_EQ(loam_finalizers_run(heap_.m(), 0, nullptr, &waiting), LOAM_OK);
    }
  }
  void ExpectAllGone() {
    CollectAndRun();
    CollectAndRun();
    EXPECT_EQ(heap_.Stats().live_objects, live_before_);
    heap_.ExpectSound();
  }

  TestHeap heap_;
  std::unique_ptr<Tested> tested_;
  uint64_t live_before_ = 0;
};

TEST_P(SpecialsTest, OfAnObjectThatLives) {
  void* object = New();
  tested_->Attach(Address(object));
  for (int i = 0; i < 3; i++) {
    CollectAndRun();
    EXPECT_EQ(tested_->Told(), 0);
  }
  Drop();
  CollectAndRun();
  EXPECT_EQ(tested_->Told(), is_pin() ? 0 : 1);
  if (is_pin()) tested_->Detach(Address(object));
  ExpectAllGone();
  EXPECT_EQ(tested_->Told(), is_pin() ? 0 : 1) << "once";
}

TEST_P(SpecialsTest, OfAnObjectThatDies) {
  void* object = New();
  tested_->Attach(Address(object));
  Drop();
  heap_.Collect();
  CollectAndRun();
  if (is_pin()) {
    EXPECT_TRUE(loam_is_live_object(heap_.heap(), object));
    EXPECT_EQ(heap_.Stats().live_objects, live_before_ + 1);
    tested_->Detach(Address(object));
  } else {
    EXPECT_EQ(tested_->Told(), 1);
  }
  ExpectAllGone();
}

struct Resurrection {
  TestHeap* heap;
  void* object;
};

TEST_P(SpecialsTest, OfAnObjectThatAFinalizerBringsBack) {
  void* object = New();
  Resurrection resurrection = {&heap_, object};
  const auto bring_back = [](loam_mutator*, void*, void* data) {
    auto* r = static_cast<Resurrection*>(data);
    r->heap->kept = {r->object};
  };
  const bool is_finalizer = std::string(kind().name) == "ordered" ||
                            std::string(kind().name) == "unordered";
  tested_->Attach(Address(object));
  if (is_finalizer) {
    // In its place: objects have one.
    tested_->Detach(Address(object));
  }
  ASSERT_EQ(loam_finalizer_set(heap_.m(), Address(object), bring_back,
                               &resurrection, LOAM_FINALIZER_ORDERED),
            LOAM_OK);
  Drop();
  heap_.Collect();
  if (is_pin()) {
    size_t waiting = 1;
    EXPECT_EQ(loam_finalizers_run(heap_.m(), 0, nullptr, &waiting), LOAM_OK);
    EXPECT_TRUE(heap_.kept.empty());
    tested_->Detach(Address(object));
    heap_.Collect();
  }
  const int told = kind().resurrected == kAtFirstDeath && !is_finalizer ? 1 : 0;
  EXPECT_EQ(tested_->Told(), told) << "before the finalizer runs";
  CollectAndRun();
  ASSERT_EQ(heap_.kept, std::vector<void*>{object});
  EXPECT_EQ(tested_->Told(), told);
  CollectAndRun();
  EXPECT_TRUE(loam_is_live_object(heap_.heap(), object));
  EXPECT_EQ(tested_->Told(), told);
  if (is_finalizer) tested_->Attach(Address(object));
  Drop();
  CollectAndRun();
  EXPECT_EQ(tested_->Told(), is_pin() ? 0 : 1);
  ExpectAllGone();
}

// Three objects that refer to each other, all of which have one of the kind.
TEST_P(SpecialsTest, OfObjectsThatDieInACircle) {
  std::vector<std::unique_ptr<Tested>> tested;
  std::vector<void*> objects;
  for (size_t i = 0; i < 3; i++) {
    objects.push_back(New(i));
    tested.push_back(kind().make(heap_));
    heap_.kept.resize(3);
  }
  Drop();
  heap_.kept = objects;
  heap_.Collect();
  const uint64_t live_before = heap_.Stats().live_objects - 3;
  const bool has_circle = !is_tiny();
  for (size_t i = 0; i < 3; i++) {
    tested[i]->Attach(Address(objects[i]));
    if (has_circle) {
      Refer(objects[i], 0, objects[(i + 1) % 3]);
      Refer(objects[i], 7, objects[(i + 2) % 3]);
    }
  }
  Drop();
  CollectAndRun();
  CollectAndRun();
  const bool told = kind().in_a_circle != kNever || (!has_circle && !is_pin());
  for (const auto& t : tested) EXPECT_EQ(t->Told(), told ? 1 : 0);
  if (!told) {
    EXPECT_EQ(heap_.Stats().live_objects, live_before + 3) << "never dies";
    for (size_t i = 0; i < 3; i++) tested[i]->Detach(Address(objects[i]));
  }
  CollectAndRun();
  CollectAndRun();
  EXPECT_EQ(heap_.Stats().live_objects, live_before);
  for (const auto& t : tested) t->End();
  heap_.ExpectSound();
}

TEST_P(SpecialsTest, ThatIsRemovedEarly) {
  void* object = New();
  tested_->Attach(Address(object));
  CollectAndRun();
  tested_->Detach(Address(object));
  CollectAndRun();
  EXPECT_TRUE(loam_is_live_object(heap_.heap(), object));
  Drop();
  ExpectAllGone();
  EXPECT_EQ(tested_->Told(), 0);
}

TEST_P(SpecialsTest, ThatIsSetAgain) {
  void* object = New();
  for (int i = 0; i < 3; i++) {
    tested_->Attach(Address(object));
    if (i == 1) CollectAndRun();
    EXPECT_EQ(tested_->Told(), 0);
    tested_->Detach(Address(object));
  }
  tested_->Attach(Address(object));
  Drop();
  CollectAndRun();
  EXPECT_EQ(tested_->Told(), is_pin() ? 0 : 1);
  if (is_pin()) tested_->Detach(Address(object));
  ExpectAllGone();
  EXPECT_EQ(tested_->Told(), is_pin() ? 0 : 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, SpecialsTest,
    testing::Combine(testing::ValuesIn(kKinds),
                     testing::Values(Size::kSmall, Size::kTiny, Size::kLarge,
                                     Size::kInterior, Size::kInteriorLarge)),
    [](const auto& info) {
      return std::string(std::get<0>(info.param).name) + "_" +
             kSizeNames[static_cast<size_t>(std::get<1>(info.param))];
    });

}  // namespace
}  // namespace loam_test
