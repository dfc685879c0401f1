// What hangs on single objects: how it is named; pins; words of the program's
// own kinds.

#include "tests/heap_model/program.h"

namespace loam_test {

void Program::StepSpecials() {
  using Step = void (Program::*)();
  struct Choice {
    size_t weight;
    Step step;
  };
  constexpr Choice kChoices[] = {
      {12, &Program::AddCleanup},   {5, &Program::StopCleanup},
      {3, &Program::Pin},           {3, &Program::Unpin},
      {10, &Program::SetWord},      {4, &Program::RemoveWord},
      {14, &Program::CreateHandle}, {12, &Program::AskHandle},
      {7, &Program::DestroyHandle}, {8, &Program::CreateWatch},
      {4, &Program::DestroyWatch},  {14, &Program::LoadWeak},
      {6, &Program::NewEphemeron},  {2, &Program::NewEphemeronChain},
      {3, &Program::NewMap},        {20, &Program::SetInMap},
      {8, &Program::AskMap},        {4, &Program::RemoveFromMap},
      {3, &Program::AddWeakRoot},   {7, &Program::LoadWeakRoot},
      {7, &Program::StepProvider},  {2, &Program::RunFinalizers},
  };
  size_t sum = 0;
  for (const Choice& choice : kChoices) sum += choice.weight;
  size_t draw = random_.Below(sum);
  for (const Choice& choice : kChoices) {
    if (draw < choice.weight) return (this->*choice.step)();
    draw -= choice.weight;
  }
}

// Objects that share a cell, or could, are named by their own addresses only;
// others by any inside.
Program::Name Program::NameOf(const Object& object) {
  uintptr_t key = object.address;
  size_t offset = 0;
  if (!object.tiny.empty()) {
    key += object.tiny[random_.Below(object.tiny.size())].offset;
  } else if (object.layout != &untyped_.bytes || object.cell_size > 16) {
    if (object.size > 0 && random_.Percent(40)) {
      offset = random_.Below(object.size);
    }
  }
  return {reinterpret_cast<void*>(key + offset), key};
}

CallData* Program::NewCallData() {
  call_data_.push_back({this, call_data_.size() + 1});
  return &call_data_.back();
}

// ---- Pins -------------------------------------------------------------------

void Program::Pin() {
  Object* object = PickReachable();
  if (object == nullptr) return;
  if (object->pins == 0 && model_.pinned_objects() >= 6) return;
  Count(object->pins == 0 ? Covered::kPinned : Covered::kPinnedAgain);
  const Name name = NameOf(*object);
  if (loam_pin(m_, name.given) != LOAM_OK) Fail("%s", loam_last_error());
  object->pins++;
  // Once more, now and then, so that one of them is not enough.
  if (random_.Percent(30)) {
    Count(Covered::kPinnedAgain);
    if (loam_pin(m_, name.given) != LOAM_OK) Fail("%s", loam_last_error());
    object->pins++;
  }
}

// A pinned object needs no other reference.
void Program::Unpin() {
  for (const auto& [address, object] : model_.objects()) {
    if (object->pins == 0 || random_.Percent(40)) continue;
    Count(Covered::kUnpinned);
    if (loam_unpin(m_, NameOf(*object).given) != LOAM_OK) {
      Fail("%s", loam_last_error());
    }
    object->pins--;
    return;
  }
  const Object* object = PickReachable();
  if (object == nullptr || object->pins > 0) return;
  const loam_status status = loam_unpin(m_, NameOf(*object).given);
  if (status != LOAM_NOT_FOUND) Fail("unpin: %s", loam_status_name(status));
}

// ---- Words ------------------------------------------------------------------

void Program::SetWord() {
  Object* object = PickReachable();
  if (object == nullptr) return;
  const Name name = NameOf(*object);
  const size_t kind = random_.Below(word_kinds_.size());
  const loam_word word = next_word_++;
  loam_word before = 0;
  const loam_status status =
      loam_special_get(m_, name.given, word_kinds_[kind], &before);
  if (loam_special_set(m_, name.given, word_kinds_[kind], word) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  for (SpecialWord& w : object->special_words) {
    if (w.address != name.key || w.kind != kind) continue;
    if (status != LOAM_OK || before != w.word) {
      Fail("word %zu of %p: %s, %#zx, not %#zx", kind, name.given,
           loam_status_name(status), before, w.word);
    }
    w.word = word;
    Count(Covered::kWordReplaced);
    return;
  }
  if (status != LOAM_NOT_FOUND) {
    Fail("word %zu of %p, which has none: %s", kind, name.given,
         loam_status_name(status));
  }
  object->special_words.push_back({name.key, kind, word});
  Count(Covered::kWordSet);
}

void Program::RemoveWord() {
  for (int attempt = 0; attempt < 10; attempt++) {
    Object* object = PickReachable();
    if (object == nullptr) continue;
    const Name name = NameOf(*object);
    const size_t kind = random_.Below(word_kinds_.size());
    loam_word word = 0;
    const loam_status status =
        loam_special_remove(m_, name.given, word_kinds_[kind], &word);
    auto& words = object->special_words;
    size_t i = 0;
    while (i < words.size() &&
           (words[i].address != name.key || words[i].kind != kind)) {
      i++;
    }
    const bool has = i < words.size();
    if (status != (has ? LOAM_OK : LOAM_NOT_FOUND) ||
        (has && word != words[i].word)) {
      Fail("remove word %zu of %p: %s", kind, name.given,
           loam_status_name(status));
    }
    if (!has) continue;
    words.erase(words.begin() + static_cast<ptrdiff_t>(i));
    Count(Covered::kWordRemoved);
    return;
  }
}

void Program::OnWordDied(loam_mutator* m, loam_word word, void* data) {
  auto* program = static_cast<Program*>(data);
  QueuedCall call;
  if (!program->TakeCall(m, CallKind::kWord, word, &call)) return;
  program->Count(Covered::kWordDied);
  if (!program->MayAct() || !program->random_.Percent(10)) return;
  program->model_.running.push_back(nullptr);
  program->Allocate();
  program->model_.running.pop_back();
}

}  // namespace loam_test
