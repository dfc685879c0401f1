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

namespace loam_test {
namespace {

// One special of the kind at hand: puts itself on an object, and knows whether
// it has been told of its death.
class Tested {
 public:
  explicit Tested(const TestHeap& heap) : heap_(heap) {}
  virtual ~Tested() = default;
  virtual void Attach(void* object) = 0;
  virtual void Detach(void* object) = 0;
  // How often it has been told so far.
  virtual int Told() = 0;
  // Before the heap goes.
  virtual void End() {}

 protected:
  loam_mutator* m() const { return heap_.m(); }
  static void Count(loam_mutator*, void*, void* data) {
    ++*static_cast<int*>(data);
  }
  const TestHeap& heap_;
  int count_ = 0;
};

class TestedFinalizer : public Tested {
 public:
  TestedFinalizer(const TestHeap& heap, loam_finalizer_mode mode)
      : Tested(heap), mode_(mode) {}
  void Attach(void* object) override {
    ASSERT_EQ(loam_finalizer_set(m(), object, Count, &count_, mode_), LOAM_OK)
        << loam_last_error();
  }
  void Detach(void* object) override {
    ASSERT_EQ(loam_finalizer_clear(m(), object), LOAM_OK);
  }
  int Told() override { return count_; }

 private:
  const loam_finalizer_mode mode_;
};
class TestedOrdered final : public TestedFinalizer {
 public:
  explicit TestedOrdered(const TestHeap& heap)
      : TestedFinalizer(heap, LOAM_FINALIZER_ORDERED) {}
};
class TestedUnordered final : public TestedFinalizer {
 public:
  explicit TestedUnordered(const TestHeap& heap)
      : TestedFinalizer(heap, LOAM_FINALIZER_UNORDERED) {}
};

class TestedCleanup final : public Tested {
 public:
  using Tested::Tested;
  void Attach(void* object) override {
    // Its value is alive until it has run.
    void* value = loam_alloc_bytes(m(), 40);
    memset(value, 0x5a, 40);
    const auto fn = [](loam_mutator*, loam_word value, void* data) {
      const auto* bytes = reinterpret_cast<const unsigned char*>(value);
      for (int i = 0; i < 40; i++) EXPECT_EQ(bytes[i], 0x5a);
      ++*static_cast<int*>(data);
    };
    ASSERT_EQ(
        loam_cleanup_add(m(), object, fn, reinterpret_cast<loam_word>(value),
                         &count_, &cleanup_),
        LOAM_OK)
        << loam_last_error();
  }
  void Detach(void*) override {
    ASSERT_EQ(loam_cleanup_stop(m(), &cleanup_), LOAM_OK);
    EXPECT_EQ(loam_cleanup_stop(m(), &cleanup_), LOAM_NOT_FOUND);
  }
  int Told() override {
    if (count_ > 0) {
      EXPECT_EQ(loam_cleanup_stop(m(), &cleanup_), LOAM_NOT_FOUND);
    }
    return count_;
  }

 private:
  loam_cleanup cleanup_ = {};
};

class TestedHandle : public Tested {
 public:
  TestedHandle(const TestHeap& heap, loam_weak_handle_kind kind)
      : Tested(heap), kind_(kind) {}
  void Attach(void* object) override {
    ASSERT_EQ(loam_weak_handle_create(m(), object, kind_, &handle_), LOAM_OK)
        << loam_last_error();
    EXPECT_EQ(loam_weak_handle_get(m(), handle_), object);
    // One and the same for all who ask.
    loam_weak_handle* again = nullptr;
    ASSERT_EQ(loam_weak_handle_create(m(), object, kind_, &again), LOAM_OK);
    EXPECT_EQ(again, handle_);
    EXPECT_EQ(loam_weak_handle_destroy(m(), again), LOAM_OK);
  }
  void Detach(void* object) override {
    EXPECT_EQ(loam_weak_handle_get(m(), handle_), object);
    End();
  }
  int Told() override {
    return handle_ != nullptr && loam_weak_handle_get(m(), handle_) == nullptr
               ? 1
               : 0;
  }
  void End() override {
    if (handle_ == nullptr) return;
    EXPECT_EQ(loam_weak_handle_destroy(m(), handle_), LOAM_OK);
    handle_ = nullptr;
  }

 private:
  const loam_weak_handle_kind kind_;
  loam_weak_handle* handle_ = nullptr;
};
class TestedShort final : public TestedHandle {
 public:
  explicit TestedShort(const TestHeap& heap)
      : TestedHandle(heap, LOAM_WEAK_SHORT) {}
};
class TestedLong final : public TestedHandle {
 public:
  explicit TestedLong(const TestHeap& heap)
      : TestedHandle(heap, LOAM_WEAK_LONG) {}
};

class TestedWatch final : public Tested {
 public:
  using Tested::Tested;
  void Attach(void* object) override {
    ASSERT_EQ(loam_watch_create(m(), object, &watch_), LOAM_OK);
    EXPECT_EQ(loam_watch_get(m(), watch_), LOAM_WATCH_WAITING);
    object_ = object;
  }
  void Detach(void*) override { End(); }
  // One that has seen its object alive is done: another one takes over.
  int Told() override {
    if (watch_ == nullptr) return 0;
    const loam_watch_state state = loam_watch_get(m(), watch_);
    if (state == LOAM_WATCH_UNREACHED) return 1;
    if (state == LOAM_WATCH_REACHED) {
      End();
      Attach(object_);
    }
    return 0;
  }
  void End() override {
    if (watch_ == nullptr) return;
    EXPECT_EQ(loam_watch_destroy(m(), watch_), LOAM_OK);
    watch_ = nullptr;
  }

 private:
  loam_watch* watch_ = nullptr;
  void* object_ = nullptr;
};

class TestedWord final : public Tested {
 public:
  explicit TestedWord(const TestHeap& heap) : Tested(heap) {
    const auto died = [](loam_mutator*, loam_word word, void* data) {
      EXPECT_EQ(word, 78u);
      ++*static_cast<int*>(data);
    };
    EXPECT_EQ(loam_special_kind_create(heap.heap(), died, &count_, &kind_),
              LOAM_OK);
    EXPECT_EQ(loam_special_kind_create(heap.heap(), nullptr, nullptr, &silent_),
              LOAM_OK);
  }
  void Attach(void* object) override {
    ASSERT_EQ(loam_special_set(m(), object, kind_, 77), LOAM_OK);
    ASSERT_EQ(loam_special_set(m(), object, silent_, 99), LOAM_OK);
    ASSERT_EQ(loam_special_set(m(), object, kind_, 78), LOAM_OK);
    loam_word word = 0;
    EXPECT_EQ(loam_special_get(m(), object, kind_, &word), LOAM_OK);
    EXPECT_EQ(word, 78u);
  }
  void Detach(void* object) override {
    loam_word word = 0;
    ASSERT_EQ(loam_special_remove(m(), object, kind_, &word), LOAM_OK);
    EXPECT_EQ(word, 78u);
    EXPECT_EQ(loam_special_get(m(), object, kind_, &word), LOAM_NOT_FOUND);
    EXPECT_EQ(loam_special_get(m(), object, silent_, &word), LOAM_OK);
    EXPECT_EQ(word, 99u);
  }
  int Told() override { return count_; }

 private:
  loam_special_kind* kind_ = nullptr;
  loam_special_kind* silent_ = nullptr;
};

// It is told of nothing: its object does not die.
class TestedPin final : public Tested {
 public:
  using Tested::Tested;
  void Attach(void* object) override {
    ASSERT_EQ(loam_pin(m(), object), LOAM_OK);
    ASSERT_EQ(loam_pin(m(), object), LOAM_OK);
    ASSERT_EQ(loam_unpin(m(), object), LOAM_OK);
  }
  void Detach(void* object) override {
    ASSERT_EQ(loam_unpin(m(), object), LOAM_OK);
    EXPECT_EQ(loam_unpin(m(), object), LOAM_NOT_FOUND);
  }
  int Told() override { return 0; }
};

// Words of another object, which is alive.
class TestedWeakWord : public Tested {
 public:
  explicit TestedWeakWord(const TestHeap& heap, bool is_ephemeron = false)
      : Tested(heap) {
    const loam_type* type =
        is_ephemeron ? RegisterType(heap.types(), "ephemeron", 24,
                                    {{"key", 0, 1, LOAM_EPHEMERON_KEY},
                                     {"value", 8, 1, LOAM_EPHEMERON_VALUE}})
                     : RegisterType(heap.types(), "weak", 24,
                                    {{"pointer", 0, 1, LOAM_WEAK_POINTER},
                                     {"value", 8, 1, LOAM_WEAK_VALUE}});
    holder_ = static_cast<loam_word*>(loam_alloc(m(), type));
    EXPECT_EQ(loam_pin(m(), holder_), LOAM_OK);
  }
  void Attach(void* object) override {
    const auto word = reinterpret_cast<loam_word>(object);
    loam_store_weak(m(), holder_, &holder_[0], word);
    // An ephemeron's value may well refer to its key.
    loam_store_weak(m(), holder_, &holder_[1], word);
    is_attached_ = true;
  }
  void Detach(void* object) override {
    EXPECT_EQ(loam_load_weak(m(), holder_, &holder_[0]),
              reinterpret_cast<loam_word>(object));
    loam_store_weak(m(), holder_, &holder_[0], 0);
    loam_store_weak(m(), holder_, &holder_[1], 0);
    is_attached_ = false;
  }
  int Told() override {
    const loam_word first = loam_load_weak(m(), holder_, &holder_[0]);
    EXPECT_EQ(first, loam_load_weak(m(), holder_, &holder_[1]))
        << "both or none";
    return is_attached_ && first == 0 ? 1 : 0;
  }

 private:
  loam_word* holder_ = nullptr;
  bool is_attached_ = false;
};
class TestedEphemeron final : public TestedWeakWord {
 public:
  explicit TestedEphemeron(const TestHeap& heap) : TestedWeakWord(heap, true) {}
};

class TestedWeakMap final : public Tested {
 public:
  explicit TestedWeakMap(const TestHeap& heap)
      : Tested(heap), map_(loam_weak_map_new(heap.m())) {
    EXPECT_EQ(loam_pin(m(), map_), LOAM_OK);
    // It has a table from now on.
    EXPECT_EQ(loam_weak_map_set(m(), map_, 1, 1), LOAM_OK);
    EXPECT_EQ(loam_weak_map_remove(m(), map_, 1), LOAM_OK);
  }
  void Attach(void* object) override {
    key_ = reinterpret_cast<loam_word>(object);
    ASSERT_EQ(loam_weak_map_set(m(), map_, key_, key_), LOAM_OK);
  }
  void Detach(void*) override {
    ASSERT_EQ(loam_weak_map_remove(m(), map_, key_), LOAM_OK);
    key_ = 0;
  }
  int Told() override {
    if (key_ == 0) return 0;
    loam_word value = 0;
    const bool is_there = loam_weak_map_get(m(), map_, key_, &value) == LOAM_OK;
    EXPECT_EQ(loam_weak_map_count(m(), map_), is_there ? 1u : 0u);
    return is_there ? 0 : 1;
  }

 private:
  void* const map_;
  loam_word key_ = 0;
};

class TestedGlobal final : public Tested {
 public:
  using Tested::Tested;
  void Attach(void* object) override {
    ASSERT_EQ(loam_global_create(heap_.heap(), LOAM_WEAK_POINTER,
                                 reinterpret_cast<loam_word>(object), &global_),
              LOAM_OK);
  }
  void Detach(void* object) override {
    EXPECT_EQ(loam_global_get(global_), reinterpret_cast<loam_word>(object));
    End();
  }
  int Told() override {
    return global_ != nullptr && loam_global_get(global_) == 0 ? 1 : 0;
  }
  void End() override {
    if (global_ == nullptr) return;
    EXPECT_EQ(loam_global_destroy(global_), LOAM_OK);
    global_ = nullptr;
  }

 private:
  loam_global* global_ = nullptr;
};

class TestedProvider final : public Tested {
 public:
  explicit TestedProvider(const TestHeap& heap) : Tested(heap) {
    const auto fn = [](loam_visitor* visitor, void* data) {
      auto* self = static_cast<TestedProvider*>(data);
      if (self->object_ == nullptr) return;
      const auto word = reinterpret_cast<loam_word>(self->object_);
      EXPECT_EQ(loam_weak_is_live(visitor, word),
                loam_weak_is_live_pointer(visitor, self->object_));
      if (loam_weak_is_live(visitor, word)) return;
      self->object_ = nullptr;
      self->count_++;
    };
    loam_root* root;
    EXPECT_EQ(loam_weak_provider_add(heap.heap(), fn, this, "table", &root),
              LOAM_OK);
  }
  void Attach(void* object) override { object_ = object; }
  void Detach(void*) override { object_ = nullptr; }
  int Told() override { return count_; }

 private:
  void* object_ = nullptr;
};

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
