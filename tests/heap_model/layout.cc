#include "tests/heap_model/layout.h"

#include <algorithm>

#include "tests/heap_model/model_specials.h"

namespace loam_test {
namespace {

void Trace(loam_visitor* visitor, void* object, size_t size) {
  const auto* words = static_cast<const loam_word*>(object);
  const size_t count = std::min(size / kWord, kTaggedWords);
  for (size_t i = 1; i < count; i++) {
    switch (TaggedKind(words[0], i)) {
      case LOAM_VALUE:
        if (i % 2 == 0) {
          loam_visit_value(visitor, words[i]);
        } else {
          loam_visit_value_range(visitor, &words[i], 1);
        }
        break;
      case LOAM_POINTER:
        if (i % 2 == 0) {
          loam_visit_pointer(visitor, reinterpret_cast<void*>(words[i]));
        } else {
          loam_visit_pointer_range(visitor, &words[i], 1);
        }
        break;
      case LOAM_AMBIGUOUS:
        loam_visit_ambiguous_range(visitor, &words[i], 1);
        break;
      default:
        break;
    }
  }
}

void DisposeAtOnce(void* object, size_t /*size*/) {
  auto* words = static_cast<loam_word*>(object);
  reinterpret_cast<DisposeLog*>(words[1])->Done(words[0]);
  words[0] = 0;  // A second call would be unexpected.
}

bool IsWeakKind(uint8_t kind) {
  return kind >= LOAM_WEAK_VALUE && kind <= LOAM_EPHEMERON_VALUE;
}

class Builder {
 public:
  Builder(loam_type_set* set, Random* random, DisposeLog* log,
          loam_dispose_fn dispose, std::vector<Layout>* layouts)
      : set_(set),
        random_(random),
        log_(log),
        dispose_(dispose),
        layouts_(layouts) {}

  std::vector<uint8_t> RandomKinds(size_t words, bool ambiguous) {
    std::vector<uint8_t> kinds(words, LOAM_DATA);
    for (uint8_t& kind : kinds) {
      const size_t draw = random_->Below(10);
      kind = draw < 4 ? LOAM_VALUE : draw < 7 ? LOAM_POINTER : LOAM_DATA;
      if (ambiguous && draw == 9) kind = LOAM_AMBIGUOUS;
    }
    return kinds;
  }

  // Some of the words made weak.
  std::vector<uint8_t> WeakKinds(size_t words) {
    std::vector<uint8_t> kinds = RandomKinds(words, random_->Percent(20));
    for (uint8_t& kind : kinds) {
      if (random_->Percent(40)) {
        kind = random_->Percent(50) ? LOAM_WEAK_VALUE : LOAM_WEAK_POINTER;
      }
    }
    if (words > 0) kinds[random_->Below(words)] = LOAM_WEAK_VALUE;
    return kinds;
  }
  // A record with keys and values, among other words; at least two.
  std::vector<uint8_t> EphemeronKinds(size_t words) {
    std::vector<uint8_t> kinds =
        random_->Percent(50) ? RandomKinds(words, false) : WeakKinds(words);
    for (uint8_t& kind : kinds) {
      const size_t draw = random_->Below(6);
      if (draw < 2)
        kind = draw == 0 ? LOAM_EPHEMERON_KEY : LOAM_EPHEMERON_VALUE;
    }
    const size_t key = random_->Below(words);
    kinds[key] = LOAM_EPHEMERON_KEY;
    kinds[(key + 1) % words] = LOAM_EPHEMERON_VALUE;
    return kinds;
  }

  void FixedOf(Covered category, std::vector<uint8_t> kinds,
               uint32_t flags = 0) {
    Layout layout;
    layout.category = category;
    layout.prefix_bytes = kinds.size() * kWord;
    layout.prefix = std::move(kinds);
    Register(layout, flags, 0);
  }

  // Of a type with a dispose function. `element` empty: of fixed size.
  void DisposedOf(Covered category, Disposed disposed,
                  const std::vector<uint8_t>& kinds,
                  std::vector<uint8_t> element, uint32_t flags = 0) {
    Layout layout;
    layout.category = category;
    layout.disposed = disposed;
    layout.dispose_log = log_;
    layout.prefix.resize(2 + kinds.size(), LOAM_DATA);
    std::ranges::copy(kinds, layout.prefix.begin() + 2);
    layout.prefix_bytes = layout.prefix.size() * kWord;
    layout.element = std::move(element);
    layout.element_bytes = layout.element.size() * kWord;
    Register(layout, flags, 0);
  }

  // `tail` bytes follow the words of the fixed part.
  void Fixed(Covered category, size_t words, bool ambiguous, uint32_t flags = 0,
             size_t alignment = 0, size_t tail = 0) {
    Layout layout;
    layout.category = category;
    layout.prefix = RandomKinds(words, ambiguous);
    if (ambiguous) layout.prefix[random_->Below(words)] = LOAM_AMBIGUOUS;
    layout.prefix_bytes = words * kWord + tail;
    Register(layout, flags, alignment);
  }

  void Noscan(Covered category, size_t bytes) {
    Layout layout;
    layout.category = category;
    layout.prefix.assign(bytes / kWord, LOAM_DATA);
    layout.prefix_bytes = bytes;
    Register(layout, 0, 0);
  }

  void Array(Covered category, std::vector<uint8_t> prefix, size_t prefix_bytes,
             std::vector<uint8_t> element, size_t element_bytes) {
    Layout layout;
    layout.category = category;
    layout.prefix = std::move(prefix);
    layout.prefix_bytes = prefix_bytes;
    layout.element = std::move(element);
    layout.element_bytes =
        layout.element.empty() ? element_bytes : layout.element.size() * kWord;
    Register(layout, 0, 0);
  }

  void Traced(Covered category, size_t prefix_bytes, size_t element_bytes,
              uint32_t flags) {
    Layout layout;
    layout.category = category;
    layout.prefix_bytes = prefix_bytes;
    layout.element_bytes = element_bytes;
    layout.tagged = true;
    Register(layout, flags, 0);
  }

  bool ok() const { return ok_; }

 private:
  // Runs of one kind become one field.
  static std::vector<loam_field> Fields(const std::vector<uint8_t>& kinds) {
    std::vector<loam_field> fields;
    for (size_t i = 0; i < kinds.size();) {
      size_t end = i + 1;
      while (end < kinds.size() && kinds[end] == kinds[i]) end++;
      if (kinds[i] != LOAM_DATA) {
        fields.push_back({"field", static_cast<uint32_t>(i * kWord),
                          static_cast<uint32_t>(end - i),
                          static_cast<loam_word_kind>(kinds[i])});
      }
      i = end;
    }
    return fields;
  }

  void Register(Layout layout, uint32_t flags, size_t alignment) {
    layout.name = "type" + std::to_string(layouts_->size());
    layout.alignment = std::max<size_t>(8, alignment);
    layout.hot = (flags & LOAM_TYPE_HOT) != 0;
    layout.is_never_cleared = (flags & LOAM_TYPE_NEVER_CLEARED) != 0;
    layout.has_weak_words = std::ranges::any_of(layout.prefix, IsWeakKind) ||
                            std::ranges::any_of(layout.element, IsWeakKind);
    if (layout.disposed == Disposed::kQueued) flags |= LOAM_TYPE_DISPOSE_QUEUED;
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = layout.name.c_str();
    info.size = layout.prefix_bytes;
    info.alignment = alignment;
    info.element_size = layout.element_bytes;
    info.flags = flags;
    info.dispose = layout.disposed == Disposed::kNever    ? nullptr
                   : layout.disposed == Disposed::kQueued ? dispose_
                                                          : DisposeAtOnce;
    const std::vector<loam_field> fields = Fields(layout.prefix);
    const std::vector<loam_field> element_fields = Fields(layout.element);
    if (layout.tagged) {
      info.trace = Trace;
    } else {
      if (layout.category == Covered::kLayoutWordKinds) {
        info.word_kinds = layout.prefix.data();
      } else {
        info.fields = fields.empty() ? nullptr : fields.data();
        info.field_count = fields.size();
      }
      info.element_fields =
          element_fields.empty() ? nullptr : element_fields.data();
      info.element_field_count = element_fields.size();
    }
    if (loam_type_register(set_, &info, &layout.type) != LOAM_OK) {
      fprintf(stderr, "%s: %s\n", layout.name.c_str(), loam_last_error());
      ok_ = false;
    }
    layouts_->push_back(std::move(layout));
  }

  loam_type_set* const set_;
  Random* const random_;
  DisposeLog* const log_;
  const loam_dispose_fn dispose_;
  std::vector<Layout>* const layouts_;
  bool ok_ = true;
};

void RegisterWeakLayouts(Builder* b, Random* r) {
  b->FixedOf(Covered::kLayoutWeak, b->WeakKinds(r->Between(1, 12)));
  b->FixedOf(Covered::kLayoutWeak, b->WeakKinds(r->Between(2, 90)),
             LOAM_TYPE_HOT);
  b->FixedOf(Covered::kLayoutEphemeron, b->EphemeronKinds(2));
  b->FixedOf(Covered::kLayoutEphemeron, b->EphemeronKinds(r->Between(2, 70)),
             r->Percent(50) ? LOAM_TYPE_HOT : 0);
  // Strong, weak and ephemeron words in any part.
  const auto kinds = [&](size_t words) {
    const size_t draw = words < 2 ? r->Below(2) : r->Below(3);
    return draw == 0   ? b->RandomKinds(words, false)
           : draw == 1 ? b->WeakKinds(words)
                       : b->EphemeronKinds(words);
  };
  const size_t prefix = r->Below(5);
  b->Array(Covered::kLayoutWeakArray, kinds(prefix), prefix * kWord,
           b->WeakKinds(r->Percent(50) ? 1 : r->Between(2, 6)), 0);
  b->Array(Covered::kLayoutEphemeronArray, {}, 0, b->EphemeronKinds(2), 0);
  b->Array(Covered::kLayoutEphemeronArray, kinds(prefix), prefix * kWord,
           b->EphemeronKinds(r->Between(2, 7)), 0);
  b->FixedOf(Covered::kLayoutNeverCleared, b->RandomKinds(3, false),
             LOAM_TYPE_NEVER_CLEARED);
  b->FixedOf(Covered::kLayoutNeverCleared, kinds(6),
             LOAM_TYPE_NEVER_CLEARED | LOAM_TYPE_HOT);
}

void RegisterDisposedLayouts(Builder* b, Random* r) {
  for (const Disposed disposed : {Disposed::kAtOnce, Disposed::kQueued}) {
    const bool at_once = disposed == Disposed::kAtOnce;
    const Covered category =
        at_once ? Covered::kLayoutDisposed : Covered::kLayoutDisposeQueued;
    b->DisposedOf(category, disposed, b->RandomKinds(r->Below(20), false), {},
                  r->Percent(20) ? LOAM_TYPE_NEVER_CLEARED : 0);
    b->DisposedOf(category, disposed, b->WeakKinds(r->Below(80)), {},
                  LOAM_TYPE_HOT);
    b->DisposedOf(category, disposed, {}, {});
    b->DisposedOf(at_once ? Covered::kLayoutDisposedArray
                          : Covered::kLayoutDisposeQueuedArray,
                  disposed, {}, b->EphemeronKinds(r->Between(2, 5)));
  }
}

}  // namespace

bool RegisterLayouts(loam_type_set* set, Random* random, DisposeLog* log,
                     loam_dispose_fn dispose, std::vector<Layout>* layouts) {
  Random& r = *random;
  Builder b(set, random, log, dispose, layouts);
  for (int i = 0; i < 4; i++) {
    b.Fixed(Covered::kLayoutFixed, r.Between(2, 12), false);
  }
  b.Fixed(Covered::kLayoutFixed, r.Between(13, 64), false, 0, 0, r.Below(8));
  b.Fixed(Covered::kLayoutWordKinds, r.Between(1, 64), r.Percent(30));
  b.Fixed(Covered::kLayoutLong, r.Between(65, 300), r.Percent(30));
  b.Fixed(Covered::kLayoutAmbiguousField, r.Between(1, 20), true);
  b.Fixed(Covered::kLayoutEight, 1, false);
  b.Fixed(Covered::kLayoutHot, r.Between(1, 40), false, LOAM_TYPE_HOT);
  b.Fixed(Covered::kLayoutHot, r.Between(65, 100), true, LOAM_TYPE_HOT);
  b.Fixed(Covered::kLayoutAligned, r.Between(1, 30), false, 0,
          size_t{16} << r.Below(9));
  b.Fixed(Covered::kLayoutAligned, r.Between(1, 30), false, LOAM_TYPE_HOT,
          size_t{32} << r.Below(8));
  b.Fixed(Covered::kLayoutLargeFixed, r.Between(4097, 6000), r.Percent(50));
  b.Noscan(Covered::kLayoutNoscan, r.Between(1, 400));
  b.Noscan(Covered::kLayoutNoscan, r.Between(1, 40));
  b.Array(Covered::kLayoutValueArray, {}, 0, {LOAM_VALUE}, kWord);
  const size_t prefix = r.Between(1, 5);
  const size_t record = r.Between(2, 7);
  b.Array(Covered::kLayoutRecordArray, b.RandomKinds(prefix, true),
          prefix * kWord, b.RandomKinds(record, r.Percent(50)), record * kWord);
  b.Array(Covered::kLayoutRecordArray, b.RandomKinds(1, false), kWord,
          {LOAM_DATA, LOAM_POINTER, LOAM_VALUE}, 3 * kWord);
  b.Array(Covered::kLayoutNoscanArray, {}, r.Below(20), {}, r.Between(1, 20));
  b.Array(Covered::kLayoutPrefixArray, {LOAM_POINTER, LOAM_VALUE}, 2 * kWord,
          {}, r.Between(1, 20));
  b.Traced(Covered::kLayoutTraced, r.Between(2, 32) * kWord, 0, 0);
  b.Traced(Covered::kLayoutTraced, r.Between(2, 32) * kWord, 0,
           LOAM_TYPE_TRACE_STOPPED | LOAM_TYPE_HOT);
  b.Traced(Covered::kLayoutTracedArray, kWord, kWord, 0);
  RegisterWeakLayouts(&b, &r);
  RegisterDisposedLayouts(&b, &r);
  return b.ok();
}

UntypedLayouts::UntypedLayouts() {
  bytes.name = "bytes";
  bytes.element_bytes = 1;
  slots.name = "slots";
  slots.element_bytes = kWord;
  slots.element = {LOAM_VALUE};
  ambiguous.name = "ambiguous words";
  ambiguous.element_bytes = kWord;
  ambiguous.element = {LOAM_AMBIGUOUS};
  bitmap.name = "object with a bitmap";
  ephemeron.name = "ephemeron";
  ephemeron.prefix = {LOAM_EPHEMERON_KEY, LOAM_EPHEMERON_VALUE};
  ephemeron.prefix_bytes = 2 * kWord;
  ephemeron.has_weak_words = true;
  map.name = "weak map";
  map.prefix = {LOAM_POINTER, LOAM_POINTER, LOAM_DATA, LOAM_DATA};
  map.prefix_bytes = map.prefix.size() * kWord;
  map.is_opaque = map_entries.is_opaque = map_heads.is_opaque = true;
  map_entries.name = "weak map entries";
  map_entries.has_weak_words = true;
  map_entries.is_internal = true;
  map_heads.name = "weak map heads";
  map_heads.is_internal = true;
}

}  // namespace loam_test
