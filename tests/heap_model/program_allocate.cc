// Allocating through every function, for every layout.

#include <algorithm>
#include <cstring>

#include "tests/heap_model/program.h"

namespace loam_test {
namespace {

constexpr size_t kSmallBytes = 32 << 10;
constexpr size_t kPieceBytes = 128 << 10;

bool AllZero(const void* memory, size_t bytes) {
  const auto* p = static_cast<const char*>(memory);
  return bytes == 0 || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

}  // namespace

void Program::Allocate() {
  const size_t draw = random_.Below(100);
  if (draw < 45) {
    AllocateFixed();
  } else if (draw < 48) {
    AllocateMany();
  } else if (draw < 65) {
    AllocateArray();
  } else if (draw < 80) {
    AllocateBytes();
  } else if (draw < 88) {
    AllocateSlots();
  } else if (draw < 96) {
    AllocateBitmap();
  } else {
    AllocateAmbiguous();
  }
}

void Program::AllocateFixed() {
  const Layout* layout = fixed_[random_.Below(fixed_.size())];
  if (random_.Percent(30)) layout = favourite_;
  if (random_.Percent(1) && RoomForLarge()) {
    for (const Layout& l : layouts_) {
      if (l.category == Covered::kLayoutLargeFixed) layout = &l;
    }
  }
  void* p = nullptr;
  const size_t draw = random_.Below(100);
  if (draw < 60) {
    p = loam_alloc(m_, layout->type);
    Count(Covered::kCallAlloc);
  } else if (draw < 89) {
    p = (loam_alloc)(m_, layout->type);
    Count(Covered::kCallAllocFunction);
  } else if (draw < 99) {
    p = loam_try_alloc(m_, layout->type);
    if (p == nullptr) return;
    Count(Covered::kCallTry);
  } else if (model_.immortals.size() < 10 && layout->prefix_bytes < 1000) {
    p = loam_alloc_immortal(m_, layout->type);
    Count(Covered::kCallImmortal);
    Object* object = Admit(p, layout->prefix_bytes, *layout);
    if (object != nullptr) model_.immortals.push_back(object);
    return;
  } else {
    return;
  }
  Count(layout->category);
  Place(Admit(p, layout->prefix_bytes, *layout));
}

void Program::AllocateMany() {
  const Layout* layout =
      random_.Percent(70) ? favourite_ : fixed_[random_.Below(fixed_.size())];
  size_t wanted = random_.Between(1, 80);
  // Now and then so many that the type earns typed spans.
  if (random_.Percent(5)) wanted = (48 << 10) / layout->prefix_bytes + 1;
  std::vector<void*> objects(wanted);
  const size_t count =
      loam_alloc_many(m_, layout->type, wanted, objects.data());
  if (count == 0 || count > wanted) Fail("loam_alloc_many: %zu", count);
  Count(Covered::kCallAllocMany, count);
  std::vector<Object*> admitted(count);
  for (size_t i = 0; i < count && !failed(); i++) {
    admitted[i] = Admit(objects[i], layout->prefix_bytes, *layout);
  }
  loam_stats stats;
  stats.struct_size = sizeof(stats);
  if (loam_heap_stats(heap_, &stats) == LOAM_OK &&
      stats.types_with_typed_spans > hot_types_) {
    Count(Covered::kTypedSpans);
  }
  const unsigned kept = count > 80 ? 1 : 30;
  for (size_t i = 0; i < count && !failed(); i++) {
    if (random_.Percent(kept)) Place(admitted[i]);
  }
}

// The size of an array; rarely a large one.
size_t Program::ArrayBytes(bool* large) {
  *large = false;
  const size_t draw = random_.Below(1000);
  if (draw < 600) return random_.Below(200);
  if (draw < 950) return random_.Below(2000);
  if (draw < 985 || !RoomForLarge()) return random_.Below(kSmallBytes);
  *large = true;
  if (draw < 995) return random_.Between(kSmallBytes + 16, kPieceBytes);
  return random_.Between(kPieceBytes + 16, 3 * kPieceBytes);
}

void Program::AllocateArray() {
  const Layout& layout = *arrays_[random_.Below(arrays_.size())];
  bool large;
  const size_t bytes = ArrayBytes(&large);
  const size_t count =
      random_.Percent(10)
          ? 0
          : (bytes + layout.element_bytes - 1) / layout.element_bytes;
  const size_t size = layout.prefix_bytes + count * layout.element_bytes;
  void* p;
  if (random_.Percent(10)) {
    p = loam_try_alloc_array(m_, layout.type, count);
    if (p == nullptr) return;
    Count(Covered::kCallTry);
  } else if (count == 0 && random_.Percent(50)) {
    p = loam_alloc(m_, layout.type);
  } else {
    p = loam_alloc_array(m_, layout.type, count);
  }
  Count(count == 0           ? Covered::kLayoutZeroTail
        : size > kPieceBytes ? Covered::kLayoutPieceArray
        : size > kSmallBytes ? Covered::kLayoutLargeArray
                             : layout.category);
  Count(layout.category);
  Place(Admit(p, size, layout));
}

void Program::AllocateBytes() {
  bool large;
  const size_t size =
      random_.Percent(40) ? random_.Below(16) : ArrayBytes(&large);
  void* p;
  if (random_.Percent(10)) {
    p = loam_try_alloc_bytes(m_, size);
    if (p == nullptr) return;
    Count(Covered::kCallTry);
  } else {
    p = loam_alloc_bytes(m_, size);
  }
  Count(size < 16            ? Covered::kLayoutTiny
        : size > kSmallBytes ? Covered::kLayoutLargeBytes
                             : Covered::kLayoutBytes);
  Place(size < 16 ? AdmitTiny(p, size) : Admit(p, size, untyped_.bytes));
}

void Program::AllocateSlots() {
  bool large;
  const size_t count = ArrayBytes(&large) / kWord;
  const size_t size = count * kWord;
  void* p;
  if (random_.Percent(10)) {
    p = loam_try_alloc_slots(m_, count);
    if (p == nullptr) return;
    Count(Covered::kCallTry);
  } else {
    p = loam_alloc_slots(m_, count);
  }
  Count(size > kPieceBytes   ? Covered::kLayoutPieceSlots
        : size > kSmallBytes ? Covered::kLayoutLargeSlots
                             : Covered::kLayoutSlots);
  Place(Admit(p, size, untyped_.slots));
}

void Program::AllocateBitmap() {
  bool large = false;
  size_t size =
      random_.Percent(60) ? random_.Between(1, 512) : ArrayBytes(&large);
  if (size < 1) size = 1;
  const size_t words = size / kWord;
  std::vector<uint8_t> kinds(words + 1, LOAM_DATA);
  std::vector<uint64_t> pointers(words / 64 + 1);
  std::vector<uint64_t> values(words / 64 + 1);
  const bool with_pointers = random_.Percent(80);
  const bool with_values = random_.Percent(80);
  for (size_t i = 0; i < words; i++) {
    const size_t draw = random_.Below(4);
    if (draw == 1 && with_pointers) {
      kinds[i] = LOAM_POINTER;
      pointers[i / 64] |= uint64_t{1} << (i % 64);
    } else if (draw == 2 && with_values) {
      kinds[i] = LOAM_VALUE;
      values[i / 64] |= uint64_t{1} << (i % 64);
    }
  }
  void* p =
      loam_alloc_bitmap(m_, size, with_pointers ? pointers.data() : nullptr,
                        with_values ? values.data() : nullptr);
  Count(size <= 512          ? Covered::kLayoutBitmap
        : size < kSmallBytes ? Covered::kLayoutCellBitmap
                             : Covered::kLayoutLargeBitmap);
  Place(Admit(p, size, untyped_.bitmap, std::move(kinds)));
}

void Program::AllocateAmbiguous() {
  bool large;
  const size_t size = ArrayBytes(&large) / kWord * kWord;
  void* p = loam_alloc_ambiguous(m_, size / kWord);
  Count(size > kSmallBytes ? Covered::kLayoutLargeAmbiguous
                           : Covered::kLayoutAmbiguous);
  Place(Admit(p, size, untyped_.ambiguous));
}

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

void Program::ResizeBytes() {
  Object* old = PickReachable();
  bool large;
  size_t new_size = ArrayBytes(&large);
  if (old != nullptr && old->layout != &untyped_.bytes) return;
  uint64_t content = 0;
  size_t old_size = 0;
  size_t filled = 0;
  char* buffer = nullptr;
  if (old != nullptr && old->tiny.empty()) {
    if (random_.Percent(60)) new_size = random_.Below(old->cell_size + 16);
    content = old->content;
    old_size = old->size;
    filled = old->filled;
    buffer = reinterpret_cast<char*>(old->address);
  } else if (old != nullptr) {
    const TinyPart part = old->tiny[random_.Below(old->tiny.size())];
    content = part.content;
    old_size = filled = part.size;
    buffer = reinterpret_cast<char*>(old->address + part.offset);
    new_size = old_size + 1 + random_.Below(40);  // Shrinking does nothing.
  }
  void* p = loam_resize_bytes(m_, buffer, old_size, new_size);
  if (p == nullptr) {
    Fail("loam_resize_bytes(%p, %zu, %zu)", static_cast<void*>(buffer),
         old_size, new_size);
    return;
  }
  filled = std::min(filled, new_size);
  if (p == buffer) {
    Count(Covered::kCallResizeInPlace);
    if (new_size > old->cell_size) Fail("resized past the end of the cell");
    if (new_size < old->size) old->check_tail = false;
    old->size = new_size;
    old->filled = filled;
    CheckObject(*old);
    return;
  }
  Count(Covered::kCallResizeMoved);
  if (new_size < 16) {
    // Shared with others: what it holds is compared at once, and forgotten.
    const loam_word words[2] = {DataWord(content, 0), DataWord(content, 1)};
    if (memcmp(p, words, filled) != 0) Fail("resized bytes differ");
    memset(p, 0, new_size);
    Place(AdmitTiny(p, new_size));
    return;
  }
  std::vector<char> copy(static_cast<char*>(p),
                         static_cast<char*>(p) + new_size);
  memset(p, 0, new_size);  // Admit wants it as it wants all others.
  Object* object = Admit(p, new_size, untyped_.bytes);
  if (object == nullptr) return;
  memcpy(p, copy.data(), new_size);
  object->content = content;
  object->filled = filled;
  CheckObject(*object);
  Place(object);
}

}  // namespace loam_test
