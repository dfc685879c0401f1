// Writing slots, by every store function.

#include <algorithm>

#include "tests/heap_model/program.h"

namespace loam_test {
namespace {

int foreign;  // An address outside the heap.

constexpr size_t kPieceWords = (128 << 10) / kWord;
constexpr size_t kMaxReferences = 200;

void* SlotOf(const Object& object, size_t word) {
  return reinterpret_cast<loam_word*>(object.address) + word;
}
void* Base(const Object& object) {
  return reinterpret_cast<void*>(object.address);
}

}  // namespace

loam_word Program::MakeNoReference(loam_word_kind kind) {
  Count(Covered::kStoreImmediate);
  const uintptr_t address =
      seen_.empty() ? 0 : seen_[random_.Below(seen_.size())];
  switch (PlainKind(kind)) {
    case LOAM_VALUE:
      return encoding_.Immediate(address, &random_);
    case LOAM_POINTER:
      return reinterpret_cast<loam_word>(&foreign);
    default:
      // Perhaps the address of an object, alive or dead: the model looks.
      return random_.Percent(70) ? address + random_.Below(64) : random_.Next();
  }
}

loam_word Program::MakeWord(loam_word_kind kind, const Object* target) {
  if (target == nullptr) {
    return random_.Percent(50) ? 0 : MakeNoReference(kind);
  }
  const bool is_value = PlainKind(kind) == LOAM_VALUE;
  size_t offset = 0;
  if (random_.Percent(40) && target->size > 0) {
    offset = random_.Below(target->size);
    if (is_value) offset -= offset % encoding_.granularity();
    if (offset != 0) Count(Covered::kStoreInterior);
  } else if (target->layout->type != nullptr && target->layout->is_array() &&
             target->size == target->layout->prefix_bytes &&
             target->size % kWord == 0 && random_.Percent(40)) {
    offset = target->size;  // Past a zero-length tail: inside still.
  }
  const uintptr_t address = target->address + offset;
  return is_value ? encoding_.Encode(address, &random_) : address;
}

Object* Program::PickTarget() {
  const unsigned chance = model_.bytes() > (2u << 20)   ? 35
                          : model_.bytes() > (1u << 20) ? 60
                                                        : 80;
  return random_.Percent(chance) ? PickReachable() : nullptr;
}

bool Program::PickSlot(const Object& object, Slots slots, size_t* word) {
  const size_t words = object.words();
  if (words == 0 || !object.tiny.empty() || object.layout->is_opaque) {
    return false;
  }
  for (int attempt = 0; attempt < 8; attempt++) {
    size_t w = random_.Below(words);
    if (words > 64) {
      const size_t draw = random_.Below(4);
      if (draw == 0) w = random_.Below(32);
      if (draw == 1) w = words - 1 - random_.Below(4);
      // Around the pieces in which large objects are scanned.
      if (draw == 2 && words > kPieceWords) {
        w = kPieceWords * random_.Between(1, words / kPieceWords) +
            random_.Below(6) - 3;
        if (w >= words) continue;
      }
    }
    if (object.references.size() >= kMaxReferences) {
      w = object.references[random_.Below(object.references.size())].word;
    }
    const loam_word_kind kind = object.KindAt(w);
    if (kind != LOAM_DATA &&
        (slots == Slots::kAny || IsStrong(kind) == (slots == Slots::kStrong))) {
      *word = w;
      return true;
    }
  }
  return false;
}

Object* Program::PickSlotOwner(Slots slots, size_t* word) {
  for (int attempt = 0; attempt < 4; attempt++) {
    Object* object = PickReachable();
    if (object != nullptr && PickSlot(*object, slots, word)) return object;
  }
  return nullptr;
}

void Program::StoreSlot(Object* object, size_t word, loam_word raw,
                        Object* target) {
  void* base = Base(*object);
  void* slot = SlotOf(*object, word);
  if (!IsStrong(object->KindAt(word))) {
    Count(Covered::kWeakStored);
    loam_store_weak(m_, base, slot, raw);
    object->Set(word, raw, target);
    return;
  }
  const bool pointer = object->KindAt(word) == LOAM_POINTER;
  auto* address = reinterpret_cast<void*>(raw);
  if (random_.Percent(50)) {
    Count(Covered::kStoreInline);
    if (pointer) {
      loam_store_pointer(m_, base, slot, address);
    } else {
      loam_store_value(m_, base, slot, raw);
    }
  } else {
    Count(Covered::kStoreFunction);
    if (pointer) {
      (loam_store_pointer)(m_, base, slot, address);
    } else {
      (loam_store_value)(m_, base, slot, raw);
    }
  }
  object->Set(word, raw, target);
}

// The object was allocated since the last safepoint.
void Program::InitSlot(Object* object, size_t word) {
  Object* target = PickTarget();
  const loam_word_kind kind = object->KindAt(word);
  const loam_word raw = MakeWord(kind, target);
  if (random_.Percent(20) || !IsStrong(kind)) {
    StoreSlot(object, word, raw, target);
    return;
  }
  Count(Covered::kStoreInit);
  void* base = Base(*object);
  void* slot = SlotOf(*object, word);
  if (kind == LOAM_POINTER) {
    loam_store_pointer_init(m_, base, slot, reinterpret_cast<void*>(raw));
  } else if (random_.Percent(50)) {
    loam_store_value_init(m_, base, slot, raw);
  } else {
    (loam_store_value_init)(m_, base, slot, raw);
  }
  object->Set(word, raw, target);
}

void Program::Store() {
  size_t word;
  Object* object = PickSlotOwner(Slots::kAny, &word);
  if (object == nullptr) return;
  Object* target = PickTarget();
  StoreSlot(object, word, MakeWord(object->KindAt(word), target), target);
}

void Program::Exchange() {
  size_t word;
  Object* object = PickSlotOwner(Slots::kStrong, &word);
  if (object == nullptr) return;
  Count(Covered::kStoreExchange);
  const loam_word_kind kind = object->KindAt(word);
  Object* target = PickTarget();
  const loam_word raw = MakeWord(kind, target);
  const loam_word expected = object->Expected(word);
  loam_word old;
  if (kind == LOAM_POINTER) {
    old = reinterpret_cast<loam_word>(
        loam_exchange_pointer(m_, Base(*object), SlotOf(*object, word),
                              reinterpret_cast<void*>(raw)));
  } else {
    old = loam_exchange_value(m_, Base(*object), SlotOf(*object, word), raw);
  }
  if (old != expected) Fail("exchange found %#zx, not %#zx", old, expected);
  object->Set(word, raw, target);
}

void Program::CompareExchange() {
  size_t word;
  Object* object = PickSlotOwner(Slots::kStrong, &word);
  if (object == nullptr) return;
  const bool hit = random_.Percent(60);
  Count(hit ? Covered::kStoreCompareHit : Covered::kStoreCompareMiss);
  const loam_word_kind kind = object->KindAt(word);
  Object* target = PickTarget();
  const loam_word raw = MakeWord(kind, target);
  const loam_word now = object->Expected(word);
  loam_word expected = hit ? now : now ^ 16;
  int stored;
  if (kind == LOAM_POINTER) {
    auto* e = reinterpret_cast<void*>(expected);
    stored =
        loam_compare_exchange_pointer(m_, Base(*object), SlotOf(*object, word),
                                      &e, reinterpret_cast<void*>(raw));
    expected = reinterpret_cast<loam_word>(e);
  } else {
    stored = loam_compare_exchange_value(m_, Base(*object),
                                         SlotOf(*object, word), &expected, raw);
  }
  if ((stored != 0) != hit || expected != now) {
    Fail("compare_exchange: %d, expected %#zx, found %#zx", stored, now,
         expected);
  }
  if (hit) object->Set(word, raw, target);
}

void Program::Copy() {
  size_t first;
  size_t source;
  Object* to = PickSlotOwner(Slots::kStrong, &first);
  Object* from = to;
  if (to == nullptr) return;
  if (random_.Percent(50)) {
    if (!PickSlot(*to, Slots::kStrong, &source)) return;
    // Near each other, so that the ranges overlap.
    if (source > first && random_.Percent(70)) {
      source = std::min(source, first + random_.Between(1, 4));
    }
  } else {
    from = PickSlotOwner(Slots::kStrong, &source);
    if (from == nullptr) return;
  }
  // As many words as have the same kinds on both sides.
  size_t count = 0;
  const size_t wanted = random_.Between(1, 20);
  while (count < wanted && first + count < to->words() &&
         source + count < from->words() &&
         IsStrong(to->KindAt(first + count)) &&
         to->KindAt(first + count) == from->KindAt(source + count)) {
    count++;
  }
  if (count == 0) return;
  const bool overlaps =
      to == from && std::max(first, source) < std::min(first, source) + count;
  Count(overlaps ? Covered::kStoreMove : Covered::kStoreCopy);
  std::vector<Reference> moved(count);
  for (size_t i = 0; i < count; i++) {
    const Reference* r = from->Find(source + i);
    moved[i] = r != nullptr ? *r : Reference{0, 0, nullptr};
  }
  loam_copy_slots(m_, Base(*to), SlotOf(*to, first), SlotOf(*from, source),
                  count);
  for (size_t i = 0; i < count; i++) {
    to->Set(first + i, moved[i].raw, moved[i].target);
  }
}

void Program::Clear() {
  size_t first;
  Object* object = PickSlotOwner(Slots::kAny, &first);
  if (object == nullptr) return;
  Count(Covered::kStoreClear);
  size_t count = 0;
  const size_t wanted = random_.Between(1, 12);
  while (count < wanted && first + count < object->words() &&
         object->KindAt(first + count) != LOAM_DATA) {
    object->Set(first + count, 0, nullptr);
    count++;
  }
  loam_clear_slots(m_, Base(*object), SlotOf(*object, first), count);
}

// Gives a fresh object of a tagged layout its kinds.
void Program::Tag(Object* object) {
  object->tag = random_.Next() & ~loam_word{3};
  *static_cast<loam_word*>(SlotOf(*object, 0)) = object->tag;
}

// A union changes what it holds: its slots are cleared, then it gets new ones.
void Program::ChangeTag() {
  Object* object = PickReachable();
  if (object == nullptr || !object->layout->tagged) return;
  auto* words = static_cast<loam_word*>(Base(*object));
  const size_t count = std::min(object->words(), kTaggedWords);
  for (size_t i = 1; i < count; i++) {
    if (object->KindAt(i) != LOAM_DATA) {
      loam_clear_slots(m_, Base(*object), SlotOf(*object, i), 1);
      object->Set(i, 0, nullptr);
    } else {
      words[i] = 0;
    }
  }
  Tag(object);
  for (size_t i = 1; i < count; i++) {
    if (object->KindAt(i) == LOAM_DATA) words[i] = object->Expected(i);
  }
}

}  // namespace loam_test
