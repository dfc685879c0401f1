// Taking note of objects that were just handed out.

#include <algorithm>
#include <cstring>

#include "tests/heap_model/program.h"

namespace loam_test {
namespace {

bool AllZero(const void* memory, size_t bytes) {
  const auto* p = static_cast<const char*>(memory);
  return bytes == 0 || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

}  // namespace

Object* Program::Admit(void* p, size_t size, const Layout& layout,
                       std::vector<uint8_t> own_kinds) {
  if (failed()) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(p);
  if (p == nullptr) {
    Fail("out of memory: %s", loam_heap_last_error(heap_));
    return nullptr;
  }
  const size_t alignment =
      std::max<size_t>(size >= 16 ? 16 : 8, layout.alignment);
  if (address % alignment != 0) {
    Fail("%s of %zu bytes at %p: misaligned", layout.name.c_str(), size, p);
  }
  Object object = {};
  object.content = next_content_++;
  object.address = address;
  object.size = size;
  object.cell_size = loam_object_size(heap_, p);
  object.extent = object.cell_size;
  // A word of the collector's own may follow: addresses in it count as well.
  if (loam_object_base(heap_, static_cast<char*>(p) + object.cell_size) == p) {
    object.extent += kWord;
  }
  object.filled = size;
  object.layout = &layout;
  object.own_kinds = std::move(own_kinds);
  if (object.cell_size < size || loam_object_base(heap_, p) != p ||
      loam_type_of(heap_, p) != layout.type) {
    Fail("%s of %zu bytes at %p: cell of %zu, base %p, type %p",
         layout.name.c_str(), size, p, object.cell_size,
         loam_object_base(heap_, p),
         static_cast<const void*>(loam_type_of(heap_, p)));
  }
  const bool has_bitmaps = !object.own_kinds.empty();
  if (!AllZero(p, has_bitmaps ? size : object.cell_size)) {
    Fail("%s of %zu bytes at %p: not zeroed", layout.name.c_str(), size, p);
  }
  Object* added = model_.Add(std::move(object));
  if (added == nullptr) {
    Fail("%s of %zu bytes at %p overlaps a live object", layout.name.c_str(),
         size, p);
    return nullptr;
  }
  Fill(added);
  if (seen_.size() < 64) seen_.push_back(0);
  seen_[random_.Below(seen_.size())] = address;
  return added;
}

Object* Program::AdmitFilled(void* p, const Layout& layout) {
  if (p == nullptr) Fail("out of memory: %s", loam_heap_last_error(heap_));
  if (failed()) return nullptr;
  Object object = {};
  object.content = next_content_++;
  object.address = reinterpret_cast<uintptr_t>(p);
  object.cell_size = loam_object_size(heap_, p);
  object.size =
      layout.prefix_bytes != 0 ? layout.prefix_bytes : object.cell_size;
  object.extent = object.cell_size;
  if (loam_object_base(heap_, static_cast<char*>(p) + object.cell_size) == p) {
    object.extent += kWord;
  }
  object.layout = &layout;
  Object* added = model_.Add(std::move(object));
  if (added == nullptr) {
    Fail("%s at %p overlaps a live object", layout.name.c_str(), p);
  }
  return added;
}

Object* Program::NewUnplaced() {
  const Layout* layout =
      random_.Percent(40) ? favourite_ : fixed_[random_.Below(fixed_.size())];
  return Admit(loam_alloc(m_, layout->type), layout->prefix_bytes, *layout);
}

Object* Program::AdmitTiny(void* p, size_t size) {
  if (failed()) return nullptr;
  if (p == nullptr || !AllZero(p, size)) {
    Fail("tiny object of %zu bytes at %p: not zeroed", size, p);
    return nullptr;
  }
  const auto address = reinterpret_cast<uintptr_t>(p);
  const auto base = reinterpret_cast<uintptr_t>(loam_object_base(heap_, p));
  const size_t offset = address - base;
  Object* cell = model_.Find(base);
  if (cell == nullptr) {
    Object object = {};
    object.content = next_content_++;
    object.address = base;
    object.size = object.cell_size = object.extent = loam_object_size(heap_, p);
    object.layout = &untyped_.bytes;
    cell = model_.Add(std::move(object));
  }
  if (cell == nullptr || cell->address != base || offset > cell->size ||
      size > cell->size - offset) {
    Fail("tiny object of %zu bytes at %p, base %p: overlaps", size, p,
         reinterpret_cast<void*>(base));
    return nullptr;
  }
  for (const TinyPart& part : cell->tiny) {
    if (part.offset < offset + std::max<size_t>(size, 1) &&
        offset < part.offset + std::max<size_t>(part.size, 1)) {
      Fail("tiny object of %zu bytes at %p overlaps another", size, p);
    }
  }
  const uint64_t content = next_content_++;
  cell->tiny.push_back({offset, size, content});
  const loam_word words[2] = {DataWord(content, 0), DataWord(content, 1)};
  memcpy(p, words, size);
  return cell;
}

void Program::Fill(Object* object) {
  auto* words = reinterpret_cast<loam_word*>(object->address);
  if (object->layout->tagged) Tag(object);
  for (size_t i = 0; i < object->words(); i++) {
    if (object->KindAt(i) == LOAM_DATA) words[i] = object->Expected(i);
  }
  const size_t rest = object->size % kWord;
  const loam_word last = rest > 0 ? object->Expected(object->words()) : 0;
  memcpy(&words[object->words()], &last, rest);
  for (size_t i = random_.Below(5); i > 0; i--) {
    size_t word;
    if (PickSlot(*object, Slots::kAny, &word)) InitSlot(object, word);
  }
}

void Program::Place(Object* object) {
  if (object == nullptr || failed()) return;
  const size_t draw = random_.Below(100);
  if (draw < 50) {
    size_t word;
    Object* owner = PickSlotOwner(Slots::kAny, &word);
    if (owner != nullptr) {
      StoreSlot(owner, word, MakeWord(owner->KindAt(word), object), object);
      return;
    }
  }
  if (draw < 92) WriteRoot(object);
}

}  // namespace loam_test
