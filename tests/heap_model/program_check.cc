// Comparing the heap with the model.

#include <unistd.h>

#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/heap_model/program.h"

namespace loam_test {
namespace {

struct Walk {
  const Model* model;
  size_t seen = 0;
  const void* bad = nullptr;
  const char* problem = nullptr;
};

const char* Problem(const Model& model, uintptr_t address, size_t size,
                    const loam_type* type) {
  const auto found = model.objects().find(address);
  if (found == model.objects().end()) return "should be gone";
  const Object& object = *found->second;
  if (object.cell_size != size) return "has another size";
  if (object.layout->type != type) return "has another type";
  return nullptr;
}

}  // namespace

int Program::OnWalk(void* object, size_t size, const loam_type* type,
                    void* data) {
  auto* walk = static_cast<Walk*>(data);
  walk->seen++;
  const char* problem =
      Problem(*walk->model, reinterpret_cast<uintptr_t>(object), size, type);
  if (problem == nullptr) return 1;
  walk->bad = object;
  walk->problem = problem;
  return 0;
}

// For messages: an object that should be there and is not.
std::string Program::FirstLost() {
  std::unordered_set<uintptr_t> seen;
  const auto visit = [](void* object, size_t, const loam_type*, void* data) {
    static_cast<std::unordered_set<uintptr_t>*>(data)->insert(
        reinterpret_cast<uintptr_t>(object));
    return 1;
  };
  if (loam_heap_walk(m_, visit, &seen) != LOAM_OK) return loam_last_error();
  for (const auto& [address, object] : model_.objects()) {
    if (seen.count(address) != 0) continue;
    char text[160];
    snprintf(text, sizeof(text), "lost %s of %zu bytes at %p, %s %p",
             object->layout->name.c_str(), object->size,
             reinterpret_cast<void*>(address),
             object->reached == model_.cycles() ? "reached from" : "not from",
             reinterpret_cast<void*>(object->reached_from));
    return text;
  }
  return "none is lost";
}

void Program::Check() {
  const uint64_t gone_before = model_.removed_objects();
  const uint64_t fibers_before = model_.removed_fibers();
  if (loam_collect(m_, LOAM_COLLECT_FULL) != LOAM_OK) {
    Fail("%s", loam_last_error());
    return;
  }
  Count(Covered::kCheckedGone, model_.removed_objects() - gone_before);
  Count(Covered::kFiberDied, model_.removed_fibers() - fibers_before);
  loam_stats stats;
  stats.struct_size = sizeof(stats);
  if (loam_heap_stats(heap_, &stats) != LOAM_OK) Fail("%s", loam_last_error());
  if (stats.cycles != model_.cycles()) {
    Fail("%" PRIu64 " cycles, announced were %" PRIu64, stats.cycles,
         model_.cycles());
  }
  if (stats.live_objects != model_.reached_objects()) {
    Fail("%" PRIu64 " objects marked, %" PRIu64 " are reachable; %s",
         stats.live_objects, model_.reached_objects(), FirstLost().c_str());
  }
  CheckSpecials(stats);
  if (read_profile_) CheckProfile();
  Walk walk;
  walk.model = &model_;
  if (loam_heap_walk(m_, OnWalk, &walk) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  if (walk.problem != nullptr) Fail("object %p %s", walk.bad, walk.problem);
  // No two objects of a walk have one address, since cells do not overlap.
  if (walk.problem == nullptr && walk.seen != model_.objects().size()) {
    Fail("the walk saw %zu of %zu objects; %s", walk.seen,
         model_.objects().size(), FirstLost().c_str());
  }
  for (const auto& [address, object] : model_.objects()) {
    if (failed()) return;
    CheckObject(*object);
    if (object->layout == &untyped_.map) CheckMap(object.get());
  }
  Count(Covered::kCheckedObjects, model_.objects().size());
  const auto report = [](const char* line, void* data) {
    static_cast<Program*>(data)->Fail("loam_heap_check: %s", line);
  };
  const loam_check_level level =
      random_.Percent(20) ? LOAM_CHECK_FULL : LOAM_CHECK_QUICK;
  if (loam_heap_check(m_, level, report, this) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
}

void Program::CheckSpecials(const loam_stats& stats) {
  const auto compare = [this](const char* what, uint64_t loam, size_t model) {
    if (loam != model) Fail("%s: %" PRIu64 ", not %zu", what, loam, model);
  };
  compare("finalizers set", stats.finalizers_set, model_.finalizers_set());
  compare("calls waiting", stats.finalizers_waiting, model_.pending());
  compare("cleanups set", stats.cleanups_set, model_.cleanups_set());
  compare("pinned objects", stats.pinned_objects, model_.pinned_objects());
  compare("weak handles", stats.weak_handles, model_.weak_handles());
  compare("objects not disposed of", dispose_log_.due(), 0);
  compare("disposed of without having died", dispose_log_.unexpected(), 0);
  for (const auto& handle : model_.handles) CheckHandle(*handle);
  for (const auto& watch : model_.watches) CheckWatch(*watch);
  CheckWeakRoots();
}

// Every object is sampled: those of the last collection are in use.
void Program::CheckProfile() {
  const char* folder = getenv("TEST_TMPDIR");
  const std::string path = std::string(folder != nullptr ? folder : "/tmp") +
                           "/heap_model." + std::to_string(getpid()) + ".pprof";
  if (loam_heap_profile_write(heap_, path.c_str()) != LOAM_OK) {
    Fail("%s", loam_last_error());
    return;
  }
  const Profile found = read_profile_(path);
  unlink(path.c_str());
  Profile expected;
  for (const auto& [address, object] : model_.objects()) {
    // What is there for its dispose function only is dead.
    if (object->dispose_state != DisposeState::kAlive) continue;
    // These have no type of their own.
    const bool is_bytes = object->layout == &untyped_.map_heads;
    expected[is_bytes ? untyped_.bytes.name : object->layout->name]++;
    Count(Covered::kCheckedProfile);
  }
  const auto compare = [&](const std::string& type) {
    const auto in = [&](const Profile& profile) {
      const auto it = profile.find(type);
      return it == profile.end() ? 0 : it->second;
    };
    if (in(found) == in(expected)) return;
    Fail("%" PRIu64 " objects of %s in the heap profile, not %" PRIu64,
         in(found), type.c_str(), in(expected));
  };
  for (const auto& [type, count] : found) compare(type);
  for (const auto& [type, count] : expected) compare(type);
}

void Program::CheckTiny(const Object& object) {
  for (const TinyPart& part : object.tiny) {
    const auto* bytes =
        reinterpret_cast<const char*>(object.address) + part.offset;
    const loam_word expected[2] = {DataWord(part.content, 0),
                                   DataWord(part.content, 1)};
    if (memcmp(bytes, expected, part.size) != 0) {
      Fail("tiny object of %zu bytes at %p has changed", part.size,
           static_cast<const void*>(bytes));
    }
  }
}

void Program::CheckObject(const Object& object) {
  if (object.layout->is_opaque || object.dispose_state == DisposeState::kDone) {
    return;
  }
  if (!object.tiny.empty()) {
    CheckTiny(object);
    return;
  }
  const auto* words = reinterpret_cast<const loam_word*>(object.address);
  for (size_t i = 0; i < object.words(); i++) {
    const loam_word expected = object.Expected(i);
    if (words[i] != expected) {
      Fail("%s at %p, %zu bytes: word %zu (kind %d) is %#zx, not %#zx",
           object.layout->name.c_str(), static_cast<const void*>(words),
           object.size, i, object.KindAt(i), words[i], expected);
      return;
    }
  }
  const auto* bytes = reinterpret_cast<const char*>(words);
  const size_t whole = object.words() * kWord;
  const loam_word last =
      object.size > whole ? object.Expected(object.words()) : 0;
  if (memcmp(bytes + whole, &last, object.size - whole) != 0) {
    Fail("%s at %p, %zu bytes: the last bytes have changed",
         object.layout->name.c_str(), static_cast<const void*>(words),
         object.size);
  }
  // A large bitmap object shares its cell with its bitmaps.
  if (!object.check_tail || !object.own_kinds.empty()) return;
  for (size_t i = object.size; i < object.cell_size; i++) {
    if (bytes[i] == 0) continue;
    Fail("%s at %p, %zu bytes: byte %zu of the cell is not zero",
         object.layout->name.c_str(), static_cast<const void*>(words),
         object.size, i);
    return;
  }
}

// The questions about addresses, inside and outside of objects.
void Program::QueryAddress() {
  if (seen_.empty()) return;
  const Object* object = PickReachable();
  if (object == nullptr) return;
  const uintptr_t address = object->address + random_.Below(object->extent);
  const auto* interior = reinterpret_cast<const void*>(address);
  if (loam_object_base(heap_, interior) !=
          reinterpret_cast<void*>(object->address) ||
      !loam_is_live_object(heap_, interior) ||
      loam_object_size(heap_, interior) != object->cell_size ||
      loam_type_of(heap_, interior) != object->layout->type) {
    Fail("wrong facts about %p inside %p", interior,
         reinterpret_cast<void*>(object->address));
  }
  if (loam_is_live_object(heap_, &seen_) ||
      loam_object_base(heap_, nullptr) != nullptr ||
      loam_object_size(heap_, &seen_) != 0) {
    Fail("addresses outside of the heap are taken for objects");
  }
}

}  // namespace loam_test
