// One class for each kind of special and of weak reference, all with the same
// face: so one test serves all.

#ifndef LOAM_TESTS_API_TESTED_SPECIALS_H_
#define LOAM_TESTS_API_TESTED_SPECIALS_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {

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

  // Called by what can bring its object back when it is told: finalizers.
  std::function<void()> when_told;

 protected:
  loam_mutator* m() const { return heap_.m(); }
  const TestHeap& heap_;
  int count_ = 0;
};

class TestedFinalizer : public Tested {
 public:
  TestedFinalizer(const TestHeap& heap, loam_finalizer_mode mode)
      : Tested(heap), mode_(mode) {}
  void Attach(void* object) override {
    const auto fn = [](loam_mutator*, void*, void* data) {
      auto* self = static_cast<TestedFinalizer*>(data);
      self->count_++;
      if (self->when_told) self->when_told();
    };
    ASSERT_EQ(loam_finalizer_set(m(), object, fn, this, mode_), LOAM_OK)
        << loam_last_error();
  }
  void Detach(void* object) override {
    ASSERT_EQ(loam_finalizer_clear(m(), object), LOAM_OK);
  }
  int Told() override { return count_; }
  loam_finalizer_mode mode() const { return mode_; }

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

}  // namespace loam_test

#endif  // LOAM_TESTS_API_TESTED_SPECIALS_H_
