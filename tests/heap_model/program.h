// A random program: a sequence of steps drawn from a seed, each carried out on
// a loam heap and on the model, with full comparisons in between.

#ifndef LOAM_TESTS_HEAP_MODEL_PROGRAM_H_
#define LOAM_TESTS_HEAP_MODEL_PROGRAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
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

  // Runs all steps; "" or a description of the first failure.
  std::string Run();

 private:
  // ---- program.cc
  bool Start();
  void Finish();
  void Step();
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
  void CheckObject(const Object& object);
  void CheckTiny(const Object& object);
  static int OnWalk(void* object, size_t size, const loam_type* type,
                    void* data);
  void QueryAddress();

  // ---- program_allocate.cc
  void Allocate();
  void AllocateFixed();
  void AllocateMany();
  void AllocateArray();
  void AllocateBytes();
  void AllocateSlots();
  void AllocateBitmap();
  void AllocateAmbiguous();
  void ResizeBytes();
  bool RoomForLarge() const { return model_.bytes() < (3u << 20); }
  size_t ArrayBytes(bool* large);
  // Takes note of an object that was just handed out, and fills it; NULL if it
  // failed a check. `p` may be NULL after a try_ form.
  Object* Admit(void* p, size_t size, const Layout& layout,
                std::vector<uint8_t> own_kinds = {});
  Object* AdmitTiny(void* p, size_t size);
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
  // A random word of `object` that is a slot; false if none was found.
  bool PickSlot(const Object& object, size_t* word);
  // A reachable object with a slot, or NULL.
  Object* PickSlotOwner(size_t* word);
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

  // ---- program_finalizers.cc
  void SetFinalizer();
  void ClearFinalizer();
  void RunFinalizers();
  static void OnFinalizer(loam_mutator* m, void* object, void* data);

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
  size_t hot_types_ = 0;
  loam_heap* heap_ = nullptr;
  loam_mutator* m_ = nullptr;
  Model model_;
  size_t step_ = 0;
  uint64_t next_content_ = 1;
  // Addresses of objects alive or dead, for words that are to be ignored or
  // not.
  std::vector<uintptr_t> seen_;
  size_t finalizers_ran_ = 0;
  std::string failure_;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MODEL_PROGRAM_H_
