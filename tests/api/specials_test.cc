// Every kind of special, whatever becomes of the object, whatever its size:
// one table of kinds, and a test for each fate.
//
// Two kinds are not in the table, because nothing sets them on an object that
// is there: dispose functions belong to types (dispose_test.cc), and the heap
// chooses itself what it samples (tests/profile/young_samples_test.cc).

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
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
  // Told when an object dies that a finalizer makes reachable again.
  When told;
  // Whether a circle of objects that all have one dies.
  bool dies_in_a_circle;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

template <typename T>
std::unique_ptr<Tested> Make(const TestHeap& heap) {
  return std::make_unique<T>(heap);
}

const Kind kKinds[] = {
    {"ordered", Make<TestedOrdered>, kAtFirstDeath, false},
    {"unordered", Make<TestedUnordered>, kAtFirstDeath, true},
    {"cleanup", Make<TestedCleanup>, kAtLastDeath, true},
    {"short", Make<TestedShort>, kAtFirstDeath, true},
    {"long", Make<TestedLong>, kAtLastDeath, true},
    {"watch", Make<TestedWatch>, kAtFirstDeath, true},
    {"word", Make<TestedWord>, kAtLastDeath, true},
    {"pin", Make<TestedPin>, kNever, false},
    {"weak_word", Make<TestedWeakWord>, kAtFirstDeath, true},
    {"ephemeron", Make<TestedEphemeron>, kAtFirstDeath, true},
    {"weak_map", Make<TestedWeakMap>, kAtFirstDeath, true},
    {"global", Make<TestedGlobal>, kAtFirstDeath, true},
    {"provider", Make<TestedProvider>, kAtFirstDeath, true},
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
  SpecialsTest() : heap_(CheckingOptions()) { Begin(); }
  ~SpecialsTest() override { tested_->End(); }

  // A fresh one is tested from here on.
  void Begin() {
    if (tested_ != nullptr) {
      tested_->End();
      // The heap may know its address.
      done_.push_back(std::move(tested_));
    }
    tested_ = kind().make(heap_);
    // The map and the holders.
    heap_.Collect();
    live_before_ = heap_.Stats().live_objects;
  }

  const Kind& kind() const { return std::get<0>(GetParam()); }
  Size size() const { return std::get<1>(GetParam()); }
  bool is_tiny() const { return size() == Size::kTiny; }
  bool is_pin() const { return kind().told == kNever; }

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
  std::vector<std::unique_ptr<Tested>> done_;
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

TEST_P(SpecialsTest, OfAnObjectThatAFinalizerBringsBack) {
  for (const loam_finalizer_mode mode :
       {LOAM_FINALIZER_ORDERED, LOAM_FINALIZER_UNORDERED}) {
    SCOPED_TRACE(mode == LOAM_FINALIZER_ORDERED ? "ordered" : "unordered");
    // Objects have one finalizer: one that is tested brings its object back
    // itself.
    const auto* finalizer = dynamic_cast<TestedFinalizer*>(tested_.get());
    if (finalizer != nullptr && finalizer->mode() != mode) continue;
    Begin();
    void* object = New();
    const std::function<void()> bring_back = [&] { heap_.kept = {object}; };
    tested_->when_told = bring_back;
    tested_->Attach(Address(object));
    if (finalizer == nullptr) {
      const auto call = [](loam_mutator*, void*, void* data) {
        (*static_cast<const std::function<void()>*>(data))();
      };
      ASSERT_EQ(loam_finalizer_set(
                    heap_.m(), Address(object), call,
                    const_cast<std::function<void()>*>(&bring_back), mode),
                LOAM_OK);
    }
    Drop();
    heap_.Collect();
    if (is_pin()) {
      size_t waiting = 1;
      EXPECT_EQ(loam_finalizers_run(heap_.m(), 0, nullptr, &waiting), LOAM_OK);
      EXPECT_TRUE(heap_.kept.empty());
      tested_->Detach(Address(object));
      heap_.Collect();
    }
    const int told = kind().told == kAtFirstDeath ? 1 : 0;
    EXPECT_EQ(tested_->Told(), finalizer == nullptr ? told : 0)
        << "before the finalizer runs";
    CollectAndRun();
    ASSERT_EQ(heap_.kept, std::vector<void*>{object});
    EXPECT_EQ(tested_->Told(), told);
    CollectAndRun();
    EXPECT_TRUE(loam_is_live_object(heap_.heap(), object));
    EXPECT_EQ(tested_->Told(), told);
    // A finalizer may be set again when it has run.
    tested_->when_told = nullptr;
    if (finalizer != nullptr) tested_->Attach(Address(object));
    Drop();
    CollectAndRun();
    EXPECT_EQ(tested_->Told(), is_pin() ? 0 : finalizer != nullptr ? 2 : 1);
    ExpectAllGone();
  }
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
  const bool told = kind().dies_in_a_circle || (!has_circle && !is_pin());
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
