// Weak globals, weak registered words, and weak providers.

#include <algorithm>

#include "tests/heap_model/program.h"

namespace loam_test {
namespace {

constexpr size_t kMaxWeakRoots = 6;
constexpr size_t kMaxProviders = 3;
constexpr size_t kMaxEntries = 20;

}  // namespace

void Program::AddWeakRoot() {
  const auto weak = std::ranges::count_if(
      model_.heap_roots, [](const auto& array) { return array->is_weak(); });
  if (static_cast<size_t>(weak) >= kMaxWeakRoots) return;
  const bool is_global = random_.Percent(40);
  const bool is_range = !is_global && random_.Percent(50);
  auto array = NewArray(is_global  ? RootPlace::kGlobal
                        : is_range ? RootPlace::kRange
                                   : RootPlace::kRegistered,
                        is_range ? random_.Between(2, 8) : 1);
  const loam_word_kind kind =
      random_.Percent(50) ? LOAM_WEAK_VALUE : LOAM_WEAK_POINTER;
  array->kinds.assign(array->count(), kind);
  array->raws.resize(array->count());
  loam_status status;
  if (is_global) {
    Object* target = PickReachable();
    array->targets[0] = target;
    array->raws[0] = MakeWord(kind, target);
    Count(Covered::kRootWeakGlobal);
    status = loam_global_create(heap_, kind, array->raws[0], &array->global);
  } else {
    Count(Covered::kRootWeak);
    status = is_range ? loam_root_add_range(heap_, array->memory.data(),
                                            array->count(), kind, "weak",
                                            &array->root)
                      : loam_root_add(heap_, array->memory.data(), kind,
                                      nullptr, &array->root);
  }
  if (status != LOAM_OK) Fail("%s", loam_last_error());
  for (size_t i = 0; i < array->count() && !is_global; i++) {
    Object* target = PickReachable();
    SetRoot(array.get(), i, /*current=*/false, MakeWord(kind, target), target);
  }
  model_.heap_roots.push_back(std::move(array));
}

void Program::LoadWeakRoot() {
  std::vector<RootArray*> weak;
  for (const auto& array : model_.heap_roots) {
    if (array->is_weak()) weak.push_back(array.get());
  }
  if (weak.empty()) return;
  RootArray* array = weak[random_.Below(weak.size())];
  const size_t i = random_.Below(array->count());
  if (random_.Percent(40)) {
    Object* target = random_.Percent(30) ? NewUnplaced() : PickReachable();
    const auto kind = static_cast<loam_word_kind>(array->kinds[i]);
    SetRoot(array, i, /*current=*/false, MakeWord(kind, target), target);
  } else if (array->targets[i] != nullptr && random_.Percent(30)) {
    WriteRoot(array->targets[i]);
  }
}

void Program::CheckWeakRoots() {
  for (const auto& array : model_.heap_roots) {
    for (size_t i = 0; i < array->count() && array->is_weak(); i++) {
      const loam_word found = array->Get(i);
      if (found != array->raws[i]) {
        Fail("a weak root holds %#zx, not %#zx", found, array->raws[i]);
      }
      if (found == kClearedWord) Count(Covered::kRootWeakCleared);
    }
  }
  for (const auto& provider : model_.weak_providers) {
    if (provider->asked != model_.cycles()) {
      Fail("a weak provider was not asked in the last cycle");
    }
  }
}

// ---- Weak providers ---------------------------------------------------------

void Program::StepProvider() {
  auto& providers = model_.weak_providers;
  const size_t draw = random_.Below(20);
  if (providers.empty() || (draw == 0 && providers.size() < kMaxProviders)) {
    auto provider = std::make_unique<WeakProvider>();
    provider->program = this;
    if (loam_weak_provider_add(heap_, OnWeakProvider, provider.get(), "table",
                               &provider->root) != LOAM_OK) {
      Fail("%s", loam_last_error());
    }
    providers.push_back(std::move(provider));
    Count(Covered::kProviderAdded);
    return;
  }
  const size_t i = random_.Below(providers.size());
  if (draw == 1) {
    if (loam_root_remove(providers[i]->root) != LOAM_OK) {
      Fail("%s", loam_last_error());
    }
    providers.erase(providers.begin() + static_cast<ptrdiff_t>(i));
    return;
  }
  auto& entries = providers[i]->entries;
  if (entries.size() >= kMaxEntries) {
    // What is in the table is alive.
    const WeakProvider::Entry& entry = entries[random_.Below(entries.size())];
    if (entry.target != nullptr) WriteRoot(entry.target);
    entries.erase(entries.begin());
    return;
  }
  Object* target = random_.Percent(30) ? NewUnplaced() : PickReachable();
  const bool is_pointer = random_.Percent(50);
  const loam_word raw =
      MakeWord(is_pointer ? LOAM_POINTER : LOAM_VALUE, target);
  entries.push_back({is_pointer, raw, target, true});
}

void Program::OnWeakProvider(loam_visitor* visitor, void* data) {
  auto* provider = static_cast<WeakProvider*>(data);
  Program* program = provider->program;
  if (program->is_finishing_) return;
  if (provider->asked == program->model_.cycles()) {
    program->Fail("a weak provider was called twice in a cycle");
  }
  provider->asked = program->model_.cycles();
  std::erase_if(provider->entries, [&](const WeakProvider::Entry& entry) {
    const int is_live = entry.is_pointer
                            ? loam_weak_is_live_pointer(
                                  visitor, reinterpret_cast<void*>(entry.raw))
                            : loam_weak_is_live(visitor, entry.raw);
    if ((is_live != 0) != entry.is_live) {
      program->Fail("a weak provider was told %d about %#zx", is_live,
                    entry.raw);
    }
    program->Count(is_live != 0 ? Covered::kProviderLive
                                : Covered::kProviderDead);
    return is_live == 0;
  });
}

}  // namespace loam_test
