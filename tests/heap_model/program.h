// A random program: a sequence of steps drawn from a seed, each carried out on
// a loam heap and on the model, with full comparisons in between.

#ifndef LOAM_TESTS_HEAP_MODEL_PROGRAM_H_
#define LOAM_TESTS_HEAP_MODEL_PROGRAM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "api/loam.h"
#include "tests/heap_model/coverage.h"
#include "tests/heap_model/encoding.h"
#include "tests/heap_model/layout.h"
#include "tests/heap_model/model.h"
#include "tests/support/random.h"

namespace loam_test {

class Program {
 public:
  Program(uint64_t seed, size_t steps, Coverage* coverage);
  // What the seed chooses (encoding and checks) is chosen by it, the rest by
  // `random`.
  Program(uint64_t seed, const Random& random, size_t steps,
          Coverage* coverage);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // To be called before Run: every object is sampled, and the profile is
  // compared with the model. read(path) returns how many objects of a profile
  // are in use, by the name of their type.
  using Profile = std::map<std::string, uint64_t>;
  void CheckProfiles(std::function<Profile(const std::string& path)> read) {
    read_profile_ = std::move(read);
  }

  // Runs all steps; "" or a description of the first failure.
  std::string Run();

 private:
  // ---- program.cc
  bool Start();
  void Finish();
  void Destroy();
  void Step();
  void StepObjects(size_t draw);
  void Miscellaneous();
  void NativeSection();
  void DisabledSection();
  void Reattach();
  void Fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  bool failed() const { return !failure_.empty(); }
  static void OnCycleBegin(loam_heap* heap, const loam_cycle_info* info,
                           void* data);
  static void OnFatal(loam_heap* heap, const char* message, void* data);
  static void OnLog(loam_heap* heap, const char* line, void* data);

  // ---- program_check.cc
  void Check();
  std::string FirstLost();
  void CheckObject(const Object& object);
  void CheckTiny(const Object& object);
  static int OnWalk(void* object, size_t size, const loam_type* type,
                    void* data);
  void CheckSpecials(const loam_stats& stats);
  void CheckProfile();
  void QueryAddress();

  // ---- program_allocate.cc
  void Allocate();
  void AllocateFixed();
  void AllocateMany();
  bool HasTypedSpans(const Layout& layout);
  void AllocateArray();
  void AllocateBytes();
  void AllocateSlots();
  void AllocateBitmap();
  void AllocateAmbiguous();
  void ResizeBytes();
  bool RoomForLarge() const { return model_.bytes() < (3u << 20); }
  size_t ArrayBytes(bool* large);

  // ---- program_admit.cc
  // Takes note of an object that was just handed out, and fills it; NULL if it
  // failed a check. `p` may be NULL after a try_ form.
  Object* Admit(void* p, size_t size, const Layout& layout,
                std::vector<uint8_t> own_kinds = {});
  Object* AdmitTiny(void* p, size_t size);
  // An object of the library's own types, filled by it.
  Object* AdmitFilled(void* p, const Layout& layout);
  // An object that nothing refers to.
  Object* NewUnplaced();
  void Fill(Object* object);
  // Makes it reachable, mostly.
  void Place(Object* object);

  // ---- program_store.cc
  // A word for a slot of this kind: a reference to `target`; or, with NULL, no
  // reference.
  loam_word MakeWord(loam_word_kind kind, const Object* target);
  loam_word MakeNoReference(loam_word_kind kind);
  // What goes into the next slot that is written.
  Object* PickTarget();
  // Slots of these kinds.
  enum class Slots { kAny, kStrong, kWeak };
  // A random word of `object` that is a slot; false if none was found.
  bool PickSlot(const Object& object, Slots slots, size_t* word);
  // A reachable object with a slot, or NULL.
  Object* PickSlotOwner(Slots slots, size_t* word);
  void StoreSlot(Object* object, size_t word, loam_word raw, Object* target);
  void InitSlot(Object* object, size_t word);
  void Store();
  void Exchange();
  void CompareExchange();
  void Copy();
  void Clear();
  void ChangeTag();
  void Tag(Object* object);

  // ---- program_roots.cc
  // An object that is reachable now, or NULL.
  Object* PickReachable();
  // A stack whose content is reachable now, and that is there to be written.
  Stack* PickStack();
  RootArray* PickArray(bool* current);
  void SetRoot(RootArray* array, size_t i, bool current, loam_word raw,
               Object* target);
  void WriteRoot(Object* target);
  void AddRoot();
  void AddHeapRoot(RootPlace place);
  void AddProvider(Stack* stack);
  void PushFrame();
  void PushHandles();
  void PopEntry();
  void RemoveRoot();
  void Unwind();
  void CreateFiber();
  void SwitchFiber(Stack* stack);
  void DestroyFiber();
  std::unique_ptr<RootArray> NewArray(RootPlace place, size_t count);
  void RandomKinds(RootArray* array, bool with_data);

  // ---- program_specials.cc
  void StepSpecials();
  // How specials of an object are named: by `given` to loam, which means `key`.
  struct Name {
    void* given;
    uintptr_t key;
  };
  Name NameOf(const Object& object);
  CallData* NewCallData();
  void Pin();
  void Unpin();
  void SetWord();
  void RemoveWord();
  static void OnWordDied(loam_mutator* m, loam_word word, void* data);

  // ---- program_finalizers.cc
  void SetFinalizer();
  void ClearFinalizer();
  static void OnFinalizer(loam_mutator* m, void* object, void* data);

  // ---- program_cleanups.cc
  void AddCleanup();
  void StopCleanup();
  static void OnCleanup(loam_mutator* m, loam_word value, void* data);

  // ---- program_queue.cc
  void RunFinalizers();
  void RunnerSection();
  // Whether it is this one's turn; fails if it is not.
  bool TakeCall(loam_mutator* m, CallKind kind, uint64_t id, QueuedCall* call);
  // What a callback does besides; not while nobody may collect.
  bool MayAct() const { return !is_finishing_ && !has_runner_; }
  static void OnDispose(void* object, size_t size);

  // ---- program_handles.cc
  void CreateHandle();
  void AskHandle();
  void CheckHandle(const WeakHandle& handle);
  void DestroyHandle();
  void CreateWatch();
  void CheckWatch(const Watch& watch);
  void DestroyWatch();

  // ---- program_weak.cc
  void LoadWeak();
  void NewEphemeron();
  void NewEphemeronChain();

  // ---- program_weak_map.cc
  Object* PickMap();
  std::vector<MapEntry>* EntriesOf(Object* map);
  void NewMap();
  void SetInMap();
  void AskMap();
  void RemoveFromMap();
  // After a call that may have replaced its tables.
  void FollowMap(Object* map);
  void CheckMap(Object* map);

  // ---- program_weak_roots.cc
  void AddWeakRoot();
  void LoadWeakRoot();
  void CheckWeakRoots();
  void StepProvider();
  static void OnWeakProvider(loam_visitor* visitor, void* data);

  void Count(Covered what, uint64_t n = 1) { coverage_->Count(what, n); }

  const uint64_t seed_;
  const size_t steps_;
  Coverage* const coverage_;
  Random random_;
  const Encoding encoding_;
  const UntypedLayouts untyped_;
  std::vector<Layout> layouts_;
  std::vector<const Layout*> fixed_;
  std::vector<const Layout*> arrays_;
  const Layout* favourite_ = nullptr;  // allocated enough for typed spans
  loam_heap* heap_ = nullptr;
  loam_mutator* m_ = nullptr;
  Model model_;
  size_t step_ = 0;
  uint64_t next_content_ = 1;
  // Addresses of objects alive or dead, for words that are to be ignored or
  // not.
  std::vector<uintptr_t> seen_;
  size_t calls_ran_ = 0;
  DisposeLog dispose_log_;
  std::deque<CallData> call_data_;
  std::vector<loam_special_kind*> word_kinds_;
  uint64_t next_word_ = 1;
  // Every cleanup that was added lately.
  std::vector<loam_cleanup> cleanups_;
  // Address and content of every weak map.
  std::vector<std::pair<uintptr_t, uint64_t>> maps_;
  // A runner runs the callbacks, and counts them.
  bool has_runner_ = false;
  std::atomic<size_t> runner_calls_{0};
  // The heap is being destroyed: the callbacks that are to come, by kind and
  // number, and objects that are to be disposed of, by their first word.
  bool is_finishing_ = false;
  std::unordered_set<uint64_t> last_calls_[3];
  std::unordered_set<loam_word> last_disposals_;
  std::function<Profile(const std::string& path)> read_profile_;
  std::string failure_;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MODEL_PROGRAM_H_
