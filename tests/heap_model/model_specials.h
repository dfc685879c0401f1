// What the model knows of things that hang on single objects, and of what is
// to run because objects have died.

#ifndef LOAM_TESTS_HEAP_MODEL_MODEL_SPECIALS_H_
#define LOAM_TESTS_HEAP_MODEL_MODEL_SPECIALS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "api/loam.h"

namespace loam_test {

struct Object;
class Program;

// What a callback gets as its `data`: one for each registration, so that the
// model can tell which of them runs.
struct CallData {
  Program* program;
  uint64_t id;  // later registrations have higher ones
};

struct Finalizer {
  uintptr_t address;
  bool is_unordered;
  uint64_t id;
};

struct Cleanup {
  loam_cleanup name;
  loam_word value;
  Object* target;  // of value
  uint64_t id;
};

// A word of one of the embedder's kinds. No two words that are set are equal.
struct SpecialWord {
  uintptr_t address;
  size_t kind;
  loam_word word;
};

struct WeakHandle {
  loam_weak_handle* handle;
  uintptr_t address;
  bool is_long;
  Object* target;  // NULL: dead
  size_t references;
};

struct Watch {
  loam_watch* watch;
  Object* target;
  loam_watch_state state;
};

// A table of the program's that a weak provider prunes.
struct WeakProvider {
  struct Entry {
    bool is_pointer;
    loam_word raw;
    Object* target;
    bool is_live;  // what the next answer must be
  };
  Program* program;
  loam_root* root = nullptr;
  std::vector<Entry> entries;
  uint64_t asked = 0;  // number of the cycle that called it last
};

struct MapEntry {
  loam_word key;
  Object* key_target;
  loam_word value;
  Object* value_target;
};

// An object of a type with LOAM_TYPE_DISPOSE_QUEUED.
enum class DisposeState { kAlive, kWaits, kDone };

// Objects of types that are disposed of at once, by the first of their words.
// Any thread.
class DisposeLog {
 public:
  explicit DisposeLog(Program* program) : program_(program) {}
  Program* program() const { return program_; }

  void Expect(loam_word word) {
    const std::lock_guard lock(mutex_);
    due_.insert(word);
  }
  // The dispose function has been called.
  void Done(loam_word word) {
    const std::lock_guard lock(mutex_);
    if (due_.erase(word) == 0) unexpected_++;
    done_++;
  }
  size_t due() {
    const std::lock_guard lock(mutex_);
    return due_.size();
  }
  // Calls for objects that are alive, or were disposed of already.
  size_t unexpected() {
    const std::lock_guard lock(mutex_);
    return unexpected_;
  }
  size_t done() {
    const std::lock_guard lock(mutex_);
    return done_;
  }

 private:
  Program* const program_;
  std::mutex mutex_;
  std::unordered_set<loam_word> due_;
  size_t unexpected_ = 0;
  size_t done_ = 0;
};

enum class CallKind { kFinalizer, kCleanup, kWord };

struct QueuedCall {
  CallKind kind;
  uint64_t id;          // of the registration; a word
  uintptr_t address;    // a finalizer's
  Object* target;       // root until it has run; or NULL
  loam_word value = 0;  // a cleanup's
};

// What loam_finalizers_run is to run, in groups: those of one cycle's pause in
// a given order, then those that sweeping finds after it, in any.
class CallQueue {
 public:
  void BeginGroup(uint64_t cycle, bool is_ordered) {
    groups_.push_back({cycle, is_ordered, {}});
  }
  void Add(const QueuedCall& call) { groups_.back().calls.push_back(call); }

  size_t size() const {
    size_t count = 0;
    for (const Group& group : groups_) count += group.calls.size();
    return count;
  }
  // Those that have been queued although spans may be unswept since `cycle`.
  size_t certain(uint64_t cycle) const {
    size_t count = 0;
    for (const Group& group : groups_) {
      if (group.cycle < cycle || group.is_ordered) count += group.calls.size();
    }
    return count;
  }

  // Takes out a call whose turn it is. False: it is not, or there is none.
  bool Take(CallKind kind, uint64_t id, QueuedCall* call) {
    while (!groups_.empty() && groups_.front().calls.empty()) {
      groups_.pop_front();
    }
    if (groups_.empty()) return false;
    auto& calls = groups_.front().calls;
    for (size_t i = 0; i < calls.size(); i++) {
      if (calls[i].kind == kind && calls[i].id == id) {
        *call = calls[i];
        calls.erase(calls.begin() + static_cast<ptrdiff_t>(i));
        return i == 0 || !groups_.front().is_ordered;
      }
    }
    return false;
  }

  template <typename Visit>
  void ForEach(Visit&& visit) const {
    for (const Group& group : groups_) {
      for (const QueuedCall& call : group.calls) visit(call);
    }
  }

 private:
  struct Group {
    uint64_t cycle;
    bool is_ordered;
    std::vector<QueuedCall> calls;
  };
  std::deque<Group> groups_;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MODEL_MODEL_SPECIALS_H_
