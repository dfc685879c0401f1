// Ephemeron objects and weak providers. (Weak words are stored and loaded in
// mutator.cc.)

#include "api/internal.h"
#include "runtime/object_allocator.h"
#include "runtime/rooted_words.h"

namespace loam {
namespace {

enum EphemeronWord { kKey, kValue, kWords };

loam_word* EphemeronWords(const Mutator* m, void* ephemeron, const char* call) {
  Span* span;
  uintptr_t cell;
  if (!m->runtime->FindObject(Address(ephemeron), &span, &cell) ||
      span->TypeOf(cell) !=
          m->runtime->types()->internal_type(TypeSet::kEphemeron)) {
    const ScopedFatalContext context(m->runtime->fatal_context());
    FatalMisuse("%s: ephemeron: %p is no ephemeron", call, ephemeron);
  }
  return reinterpret_cast<loam_word*>(cell);
}

}  // namespace
}  // namespace loam

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

void* loam_ephemeron_new(loam_mutator* m, loam_word key, loam_word value) {
  Mutator* mutator = RequireMutator(m, "loam_ephemeron_new");
  static constexpr FrameMap kMap = {kWords,
                                    static_cast<uint32_t>(WordKind::kValue),
                                    nullptr, "loam_ephemeron_new"};
  RootedWords<kWords> roots(mutator, &kMap);
  roots[kKey] = key;
  roots[kValue] = value;
  TypeSet* types = mutator->runtime->types();
  types->set_has_weak_words();
  auto* words = static_cast<loam_word*>(
      AllocateObject(mutator, *types->internal_type(TypeSet::kEphemeron),
                     kWords * sizeof(loam_word), AllocationMode::kMayCollect));
  if (words == nullptr) return nullptr;
  loam_store_weak(m, words, &words[kKey], key);
  loam_store_weak(m, words, &words[kValue], value);
  return words;
}

loam_word loam_ephemeron_key(loam_mutator* m, void* ephemeron) {
  constexpr char kCall[] = "loam_ephemeron_key";
  return EphemeronWords(RequireMutator(m, kCall), ephemeron, kCall)[kKey];
}

loam_word loam_ephemeron_value(loam_mutator* m, void* ephemeron) {
  constexpr char kCall[] = "loam_ephemeron_value";
  return EphemeronWords(RequireMutator(m, kCall), ephemeron, kCall)[kValue];
}

int loam_weak_is_live(loam_visitor* visitor, loam_word word) {
  return visitor->IsLive(WordKind::kValue, word) ? 1 : 0;
}

int loam_weak_is_live_pointer(loam_visitor* visitor, const void* target) {
  return visitor->IsLive(WordKind::kPointer, Address(target)) ? 1 : 0;
}

}  // extern "C"
