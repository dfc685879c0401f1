// Roots of every kind, frames, handles, unwinding and fibers.

#include <cstring>

#include "tests/heap_model/program.h"

namespace loam_test {
namespace {

constexpr size_t kFrameWords = sizeof(loam_frame) / kWord;

// A provider of the program's: visits the words of its array.
void Provide(loam_visitor* visitor, void* data) {
  auto* array = static_cast<RootArray*>(data);
  for (size_t i = 0; i < array->count(); i++) {
    loam_word* word = array->Word(i);
    if (array->kinds[i] == LOAM_VALUE) {
      if (i % 2 == 0) {
        loam_visit_value(visitor, *word);
      } else {
        loam_visit_value_range(visitor, word, 1);
      }
    } else if (array->kinds[i] == LOAM_POINTER) {
      if (i % 2 == 0) {
        loam_visit_pointer(visitor, reinterpret_cast<void*>(*word));
      } else {
        loam_visit_pointer_range(visitor, word, 1);
      }
    } else {
      loam_visit_ambiguous_range(visitor, word, 1);
    }
  }
}

}  // namespace

// ---- Picking ----------------------------------------------------------------

// Fibers with an owner may be unreachable, unless current.
Stack* Program::PickStack() {
  const size_t draw = random_.Below(4);
  if (draw == 0) return &model_.own_stack;
  if (draw == 1 && !model_.fibers.empty()) {
    Stack* stack = model_.fibers[random_.Below(model_.fibers.size())].get();
    if (stack->owner == nullptr) return stack;
  }
  return model_.current;
}

RootArray* Program::PickArray(bool* current) {
  Stack* stack = PickStack();
  *current = stack == model_.current;
  auto* list = &model_.heap_roots;
  const size_t draw = random_.Below(10);
  if (draw < 5) list = &stack->entries;
  if (draw >= 5 && draw < 7) list = &stack->providers;
  return list->empty() ? nullptr : (*list)[random_.Below(list->size())].get();
}

Object* Program::PickReachable() {
  for (int attempt = 0; attempt < 6; attempt++) {
    bool current;
    RootArray* array = PickArray(&current);
    if (array == nullptr || array->is_weak()) continue;
    const size_t i = random_.Below(array->count());
    Object* object = array->kinds[i] == LOAM_AMBIGUOUS
                         ? model_.Find(array->Get(i))
                         : array->targets[i];
    if (object == nullptr || object->layout->is_internal) continue;
    for (size_t steps = random_.Below(8); steps > 0; steps--) {
      if (object->references.empty()) break;
      const Reference& r =
          object->references[random_.Below(object->references.size())];
      const loam_word_kind kind = object->KindAt(r.word);
      if (!IsStrong(kind)) continue;
      Object* next = kind == LOAM_AMBIGUOUS ? model_.Find(r.raw) : r.target;
      if (next != nullptr && !next->layout->is_internal) object = next;
    }
    // An ambiguous word may lead to one that is dead.
    if (object->dispose_state != DisposeState::kAlive) continue;
    return object;
  }
  return nullptr;
}

// ---- Writing ----------------------------------------------------------------

void Program::SetRoot(RootArray* array, size_t i, bool current, loam_word raw,
                      Object* target) {
  array->targets[i] = target;
  if (array->is_weak()) array->raws[i] = raw;
  bool plain = false;
  switch (array->place) {
    case RootPlace::kGlobal:
      loam_global_set(m_, array->global, raw);
      return;
    case RootPlace::kMutatorProvider:
    case RootPlace::kFiberProvider:
    case RootPlace::kFrame:
    case RootPlace::kHandle:
      plain = current;
      break;
    default:
      break;
  }
  loam_word* word = array->Word(i);
  if (plain) {
    *word = raw;
  } else if (PlainKind(static_cast<loam_word_kind>(array->kinds[i])) ==
             LOAM_POINTER) {
    loam_root_store_pointer(m_, word, reinterpret_cast<void*>(raw));
  } else {
    loam_root_store_value(m_, word, raw);
  }
}

void Program::WriteRoot(Object* target) {
  bool current;
  RootArray* array = PickArray(&current);
  if (array == nullptr) {
    // Finalizers leave the stack as they find it.
    if (model_.running.empty()) AddRoot();
    return;
  }
  const size_t i = random_.Below(array->count());
  const auto kind = static_cast<loam_word_kind>(array->kinds[i]);
  if (kind == LOAM_DATA) {
    // Ignored: even an address keeps nothing alive.
    *array->Word(i) = target != nullptr ? target->address : random_.Next();
    return;
  }
  SetRoot(array, i, current, MakeWord(kind, target), target);
}

// ---- Adding and removing ----------------------------------------------------

std::unique_ptr<RootArray> Program::NewArray(RootPlace place, size_t count) {
  auto array = std::make_unique<RootArray>();
  array->place = place;
  array->targets.resize(count);
  array->kinds.assign(count, random_.Percent(50) ? LOAM_VALUE : LOAM_POINTER);
  array->memory.resize(count);
  return array;
}

void Program::RandomKinds(RootArray* array, bool with_data) {
  constexpr uint8_t kKinds[] = {LOAM_VALUE, LOAM_POINTER, LOAM_AMBIGUOUS,
                                LOAM_DATA};
  for (uint8_t& kind : array->kinds) {
    kind = kKinds[random_.Below(with_data ? 4 : 3)];
  }
}

void Program::AddHeapRoot(RootPlace place) {
  if (model_.heap_roots.size() >= 14) return;
  const bool many =
      place == RootPlace::kRange || place == RootPlace::kHeapProvider;
  auto array = NewArray(place, many ? random_.Between(1, 8) : 1);
  loam_status status = LOAM_OK;
  if (place == RootPlace::kGlobal) {
    Count(Covered::kRootGlobal);
    status = loam_global_create(
        heap_, static_cast<loam_word_kind>(array->kinds[0]), 0, &array->global);
  } else if (place == RootPlace::kHeapProvider) {
    Count(Covered::kRootHeapProvider);
    RandomKinds(array.get(), false);
    status = loam_root_provider_add(heap_, Provide, array.get(), "provider",
                                    &array->root);
  } else {
    if (random_.Percent(30)) {
      array->kinds.assign(array->count(), LOAM_AMBIGUOUS);
    }
    const auto kind = static_cast<loam_word_kind>(array->kinds[0]);
    if (place == RootPlace::kRange) {
      Count(Covered::kRootRange);
      status = loam_root_add_range(heap_, array->memory.data(), array->count(),
                                   kind, "range", &array->root);
    } else {
      Count(kind == LOAM_VALUE     ? Covered::kRootValue
            : kind == LOAM_POINTER ? Covered::kRootPointer
                                   : Covered::kRootAmbiguous);
      status = loam_root_add(heap_, array->memory.data(), kind, nullptr,
                             &array->root);
    }
  }
  if (status != LOAM_OK) Fail("%s", loam_last_error());
  model_.heap_roots.push_back(std::move(array));
}

void Program::AddProvider(Stack* stack) {
  if (stack->providers.size() >= 4) return;
  const bool fiber = stack->fiber != nullptr;
  auto array =
      NewArray(fiber ? RootPlace::kFiberProvider : RootPlace::kMutatorProvider,
               random_.Between(1, 6));
  RandomKinds(array.get(), false);
  Count(fiber ? Covered::kRootFiberProvider : Covered::kRootMutatorProvider);
  const loam_status status =
      fiber ? loam_fiber_root_provider_add(stack->fiber, Provide, array.get(),
                                           "fiber", &array->root)
            : loam_mutator_root_provider_add(m_, Provide, array.get(), nullptr,
                                             &array->root);
  if (status != LOAM_OK) Fail("%s", loam_last_error());
  stack->providers.push_back(std::move(array));
}

void Program::PushFrame() {
  Count(Covered::kRootFrame);
  const size_t count = random_.Between(1, 8);
  auto array = NewArray(RootPlace::kFrame, count);
  const bool mixed = random_.Percent(60);
  if (mixed) RandomKinds(array.get(), true);
  array->memory.assign(kFrameWords + count, 0);
  array->first_word = kFrameWords;
  array->map.count = static_cast<uint32_t>(count);
  array->map.uniform_kind = array->kinds[0];
  array->map.kinds = mixed ? array->kinds.data() : nullptr;
  array->map.name = "frame";
  loam_frame_push(m_, array->frame(), &array->map);
  model_.current->entries.push_back(std::move(array));
}

void Program::PushHandles() {
  Count(Covered::kRootHandle);
  auto array = NewArray(RootPlace::kHandle, random_.Between(1, 40));
  loam_handle_scope_open(m_, &array->scope);
  for (size_t i = 0; i < array->count(); i++) {
    array->kinds[i] = random_.Percent(50) ? LOAM_VALUE : LOAM_POINTER;
    Object* target = random_.Percent(40) ? PickReachable() : nullptr;
    const loam_word raw =
        MakeWord(static_cast<loam_word_kind>(array->kinds[i]), target);
    array->targets[i] = target;
    loam_handle handle =
        array->kinds[i] == LOAM_VALUE
            ? loam_handle_value(m_, raw)
            : loam_handle_pointer(m_, reinterpret_cast<void*>(raw));
    if (handle == nullptr) {
      Fail("no handle: %s", loam_last_error());
      return;
    }
    array->handles.push_back(handle);
  }
  model_.current->entries.push_back(std::move(array));
}

void Program::PopEntry() {
  auto& entries = model_.current->entries;
  if (entries.empty()) return;
  RootArray* array = entries.back().get();
  if (array->place == RootPlace::kFrame) {
    loam_frame_pop(array->frame());
  } else {
    loam_handle_scope_close(&array->scope);
  }
  entries.pop_back();
}

void Program::AddRoot() {
  switch (random_.Below(9)) {
    case 0:
      AddHeapRoot(RootPlace::kRegistered);
      break;
    case 1:
      AddHeapRoot(RootPlace::kRange);
      break;
    case 2:
      AddHeapRoot(RootPlace::kHeapProvider);
      break;
    case 3:
      AddHeapRoot(RootPlace::kGlobal);
      break;
    case 4:
      AddProvider(PickStack());
      break;
    case 5:
      if (model_.current->entries.size() < 10) PushHandles();
      break;
    default:
      if (model_.current->entries.size() < 10) PushFrame();
  }
}

void Program::RemoveRoot() {
  const size_t draw = random_.Below(10);
  if (draw < 6) {
    PopEntry();
    return;
  }
  Stack* stack = PickStack();
  auto& list = draw < 8 ? model_.heap_roots : stack->providers;
  if (list.empty()) return;
  const size_t i = random_.Below(list.size());
  const loam_status status = list[i]->global != nullptr
                                 ? loam_global_destroy(list[i]->global)
                                 : loam_root_remove(list[i]->root);
  if (status != LOAM_OK) Fail("%s", loam_last_error());
  list.erase(list.begin() + static_cast<ptrdiff_t>(i));
  Count(Covered::kRootRemoved);
}

// What longjmp does: leaves frames, scopes and sections without popping them.
void Program::Unwind() {
  loam_unwind_point point;
  loam_unwind_save(m_, &point);
  const size_t before = model_.current->entries.size();
  for (size_t i = random_.Between(1, 3); i > 0 && !failed(); i--) {
    if (random_.Percent(50)) {
      PushFrame();
    } else {
      PushHandles();
    }
    Allocate();
  }
  if (random_.Percent(30)) loam_gc_disable(m_);
  if (random_.Percent(30)) loam_enter_native(m_);
  // Their memory is gone by then.
  model_.current->entries.resize(before);
  loam_unwind_to(m_, &point);
  Count(Covered::kRootUnwind);
}

// ---- Fibers -----------------------------------------------------------------

void Program::CreateFiber() {
  if (model_.fibers.size() >= 5) return;
  Object* owner = random_.Percent(60) ? PickReachable() : nullptr;
  auto stack = std::make_unique<Stack>();
  stack->owner = owner;
  Count(owner != nullptr ? Covered::kFiberOwned : Covered::kFiberFree);
  void* owner_address =
      owner != nullptr ? reinterpret_cast<void*>(owner->address) : nullptr;
  if (loam_fiber_create(heap_, owner_address, &stack->fiber) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  model_.fibers.push_back(std::move(stack));
  if (random_.Percent(60)) SwitchFiber(model_.fibers.back().get());
  PushFrame();
}

// NULL: to a random one.
void Program::SwitchFiber(Stack* stack) {
  if (stack == nullptr) {
    const size_t draw = random_.Below(model_.fibers.size() + 2);
    stack = draw < model_.fibers.size() ? model_.fibers[draw].get()
                                        : &model_.own_stack;
  }
  loam_fiber_switch(m_, stack->fiber);
  if (loam_fiber_current(m_) != stack->fiber) Fail("the switch failed");
  model_.current = stack;
  Count(Covered::kFiberSwitch);
}

void Program::DestroyFiber() {
  if (model_.fibers.empty()) return;
  const size_t i = random_.Below(model_.fibers.size());
  Stack* stack = model_.fibers[i].get();
  const loam_status status = loam_fiber_destroy(stack->fiber);
  if (stack == model_.current) {
    if (status != LOAM_WRONG_STATE) Fail("destroyed the current fiber");
    return;
  }
  if (status != LOAM_OK) Fail("%s", loam_last_error());
  model_.fibers.erase(model_.fibers.begin() + static_cast<ptrdiff_t>(i));
  Count(Covered::kFiberDestroyed);
}

}  // namespace loam_test
