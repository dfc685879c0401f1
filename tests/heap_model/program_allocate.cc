// Allocating through every function, for every layout.

#include <algorithm>
#include <cstring>

#include "tests/heap_model/program.h"

namespace loam_test {
namespace {

constexpr size_t kSmallBytes = 32 << 10;
constexpr size_t kPieceBytes = 128 << 10;

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

// Whether a type has earned spans of its own.
bool Program::HasTypedSpans(const Layout& layout) {
  struct Search {
    const loam_type* type;
    bool found;
  };
  Search search = {layout.type, false};
  const auto visit = [](const loam_span_class_stats* stats, void* data) {
    auto* s = static_cast<Search*>(data);
    s->found |= stats->kind == LOAM_SPAN_ONE_TYPE && stats->type == s->type;
  };
  if (loam_heap_span_classes(heap_, visit, &search) != LOAM_OK) {
    Fail("%s", loam_last_error());
  }
  return search.found;
}

void Program::AllocateMany() {
  const Layout* layout =
      random_.Percent(70) ? favourite_ : fixed_[random_.Below(fixed_.size())];
  size_t wanted = random_.Between(1, 80);
  // Now and then so many that the type earns typed spans.
  if (random_.Percent(3)) wanted = (48 << 10) / layout->prefix_bytes + 1;
  std::vector<void*> objects(wanted);
  const size_t count =
      loam_alloc_many(m_, layout->type, wanted, objects.data());
  if (count == 0 || count > wanted) Fail("loam_alloc_many: %zu", count);
  Count(Covered::kCallAllocMany, count);
  std::vector<Object*> admitted(count);
  for (size_t i = 0; i < count && !failed(); i++) {
    admitted[i] = Admit(objects[i], layout->prefix_bytes, *layout);
  }
  if (wanted > 80 && !layout->hot && HasTypedSpans(*layout)) {
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
  size_t bytes = ArrayBytes(&large);
  // Every collection looks at all of them several times: few are large.
  if (layout.has_weak_words && random_.Percent(70)) bytes %= 1024;
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
