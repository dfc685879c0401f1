#include "tests/gc/mark_fixture.h"

#include <bit>

#include "runtime/gc/visitor.h"

namespace loam {
namespace {

constexpr uint32_t kGeneration = 4;
constexpr int kLinkKey = -1;

// Of kHeadedCallback and kLargeCallback: the first word is a pointer, the
// second a value, and of large ones the last a pointer.
void Trace(loam_visitor* visitor, void* object, size_t size) {
  const auto* words = static_cast<const uintptr_t*>(object);
  visitor->VisitPointer(words[0]);
  visitor->VisitValue(words[1]);
  if (size > 4096) visitor->VisitPointer(words[size / 8 - 1]);
}

uintptr_t WordAddress(const TestObject& object, size_t index) {
  return object.address + index * kWordBytes;
}

void AddSlot(TestObject* object, WordKind kind, size_t word) {
  object->slots.push_back({kind, WordAddress(*object, word)});
}

}  // namespace

MarkFixture::MarkFixture(const ValueEncoding& encoding, size_t stack_bytes)
    : work_(&ledger_, stack_bytes),
      types_(TypeSet::Create(0, 16)),
      encoding_(encoding),
      stack_bytes_(stack_bytes) {
  EXPECT_TRUE(pages_.Initialize());
  EXPECT_NE(types_, nullptr);
  marker_ = Marker::Create(marker_storage_, &pages_, &work_, encoding);
  record_ = Register("record", 5,
                     {{"a", 0, 1, WordKind::kValue},
                      {"b", 16, 1, WordKind::kPointer},
                      {"c", 32, 1, WordKind::kValue}});
  long_record_ = Register("long", 70,
                          {{"a", 0, 1, WordKind::kValue},
                           {"b", size_t{63} * 8, 2, WordKind::kPointer},
                           {"c", size_t{69} * 8, 1, WordKind::kValue}});
  pair_ = Register(
      "pair", 2,
      {{"a", 0, 1, WordKind::kPointer}, {"b", 8, 1, WordKind::kValue}});
  array_ = Register(
      "array", 1, {}, 3,
      {{"k", 0, 1, WordKind::kValue}, {"p", 16, 1, WordKind::kPointer}});
  pointers_ = Register("pointers", 2, {{"a", 0, 1, WordKind::kValue}}, 1,
                       {{"p", 0, 1, WordKind::kPointer}});
  link_ = Register("link", 2, {{"next", 0, 1, WordKind::kPointer}});
  TypeInfo traced;
  traced.name = "traced";
  traced.size = 16;
  traced.element_size = 8;
  traced.trace = Trace;
  ErrorMessage message;
  EXPECT_EQ(types_->Register(traced, &traced_, &message), Status::kOk)
      << message.text;
}

void MarkFixture::AddWorkers(uint32_t count, size_t stack_bytes) {
  if (stack_bytes == kAsTheFirst) stack_bytes = stack_bytes_;
  team_ = MarkTeam::Create(&pages_, &ledger_, encoding_, stack_bytes,
                           Platform{}, /*fatal_context=*/nullptr);
  ASSERT_NE(team_, nullptr);
  ASSERT_TRUE(team_->Start(count));
  marker_->set_team(team_, 0);
}

void MarkFixture::MarkFrom(const std::vector<uintptr_t>& roots) {
  Unmark();
  marker_->Begin();
  for (const uintptr_t root : roots) marker_->VisitPointer(root);
  marker_->Drain();
  EXPECT_TRUE(work_.stack.empty());
  work_.Trim();
}

MarkFixture::~MarkFixture() {
  MarkTeam::Destroy(team_);
  ErrorMessage message;
  EXPECT_EQ(types_->Destroy(&message), Status::kOk);
}

const Type* MarkFixture::Register(
    const char* name, size_t prefix_words, const std::vector<FieldInfo>& fields,
    size_t element_words, const std::vector<FieldInfo>& element_fields) {
  TypeInfo info;
  info.name = name;
  info.size = prefix_words * kWordBytes;
  info.fields = fields.data();
  info.field_count = fields.size();
  info.element_size = element_words * kWordBytes;
  info.element_fields = element_fields.data();
  info.element_field_count = element_fields.size();
  const Type* type = nullptr;
  ErrorMessage message;
  EXPECT_EQ(types_->Register(info, &type, &message), Status::kOk)
      << message.text;
  return type;
}

Span* MarkFixture::SpanFor(const SpanShape& shape, int key) {
  Span*& span = spans_[key];
  if (span == nullptr || span->free_index() == span->cell_count) {
    span = pages_.AllocateSpan(shape, kGeneration, true);
    EXPECT_NE(span, nullptr);
  }
  return span;
}

TestObject MarkFixture::Take(Span* span) {
  TestObject object = {};
  object.span = span;
  object.index = span->free_index();
  object.address = span->CellAddress(object.index);
  object.bytes = span->object_bytes();
  span->set_free_index(object.index + 1);
  return object;
}

TestObject MarkFixture::Small(TestKind kind, SpanKind span_kind, ScanKind scan,
                              size_t cell_bytes, const Type* type) {
  SpanShape shape = {};
  shape.kind = span_kind;
  shape.scan = scan;
  shape.cell_bytes = cell_bytes;
  shape.pages = static_cast<uint32_t>(SpanPagesForCell(cell_bytes));
  shape.type = type;
  return Take(SpanFor(shape, static_cast<int>(kind)));
}

TestObject MarkFixture::Headed(TestKind kind, size_t cell_bytes,
                               const Type* type) {
  TestObject object =
      Small(kind, SpanKind::kHeaded, ScanKind::kHeaded, cell_bytes, nullptr);
  *object.span->TypeWord(object.address) = type;
  return object;
}

TestObject MarkFixture::Large(ScanKind scan, size_t pages, const Type* type) {
  SpanShape shape = {};
  shape.kind = SpanKind::kLarge;
  shape.scan = scan;
  shape.pages = static_cast<uint32_t>(pages);
  shape.cell_bytes = pages * kPageBytes;
  shape.type = type;
  Span* span = pages_.AllocateSpan(shape, kGeneration, true);
  EXPECT_NE(span, nullptr);
  return Take(span);
}

void MarkFixture::AddBitmapSlots(TestObject* object, uint64_t* pointers,
                                 uint64_t* values, size_t first_bit,
                                 size_t words) {
  for (size_t i = 0; i < words; i++) {
    pattern_ = std::rotl(pattern_ * 0xbf58476d1ce4e5b9 + 1, 31);
    // Sparse in large objects, dense in small ones.
    if (pattern_ % (words > 1000 ? 100 : 2) != 0) continue;
    const bool is_pointer = pattern_ >> 60 < 8;
    SetBit(is_pointer ? pointers : values, first_bit + i);
    AddSlot(object, is_pointer ? WordKind::kPointer : WordKind::kValue, i);
  }
}

TestObject MarkFixture::NewLink() {
  SpanShape shape = {};
  shape.kind = SpanKind::kTyped;
  shape.scan = link_->scan;
  shape.cell_bytes = 16;
  shape.pages = 1;
  shape.type = link_;
  TestObject object = Take(SpanFor(shape, kLinkKey));
  AddSlot(&object, WordKind::kPointer, 0);
  return object;
}

TestObject MarkFixture::New(TestKind kind) {
  TestObject object = {};
  switch (kind) {
    case TestKind::kBytes:
      return Small(kind, SpanKind::kNoscan, ScanKind::kNoscan, 64, nullptr);
    case TestKind::kValues:
      object = Small(kind, SpanKind::kSlots, ScanKind::kValues, 48, nullptr);
      for (size_t i = 0; i < 6; i++) AddSlot(&object, WordKind::kValue, i);
      return object;
    case TestKind::kMasks:
      object = Small(kind, SpanKind::kTyped, record_->scan, 48, record_);
      AddSlot(&object, WordKind::kValue, 0);
      AddSlot(&object, WordKind::kPointer, 2);
      AddSlot(&object, WordKind::kValue, 4);
      return object;
    case TestKind::kLayout:
      object =
          Small(kind, SpanKind::kTyped, long_record_->scan, 560, long_record_);
      AddSlot(&object, WordKind::kValue, 0);
      AddSlot(&object, WordKind::kPointer, 63);
      AddSlot(&object, WordKind::kPointer, 64);
      AddSlot(&object, WordKind::kValue, 69);
      return object;
    case TestKind::kHeadedRecord:
      object = Headed(kind, 48, pair_);
      AddSlot(&object, WordKind::kPointer, 0);
      AddSlot(&object, WordKind::kValue, 1);
      return object;
    case TestKind::kHeadedArray:
      object = Headed(kind, 112, array_);
      for (size_t i = 0; i < 4; i++) {
        AddSlot(&object, WordKind::kValue, 1 + i * 3);
        AddSlot(&object, WordKind::kPointer, 3 + i * 3);
      }
      return object;
    case TestKind::kHeadedPointers:
    case TestKind::kLargePointers:
      object = kind == TestKind::kHeadedPointers
                   ? Headed(kind, 112, pointers_)
                   : Large(pointers_->scan, 40, pointers_);
      AddSlot(&object, WordKind::kValue, 0);
      for (size_t i = 2; i < object.bytes / kWordBytes; i++) {
        AddSlot(&object, WordKind::kPointer, i);
      }
      return object;
    case TestKind::kHeadedCallback:
      object = Headed(kind, 32, traced_);
      AddSlot(&object, WordKind::kPointer, 0);
      AddSlot(&object, WordKind::kValue, 1);
      return object;
    case TestKind::kHeadedUnset:
      return Headed(kind, 80, nullptr);
    case TestKind::kSpanBitmap: {
      object = Small(kind, SpanKind::kBitmap, ScanKind::kBitmap, 144, nullptr);
      const size_t first = object.index * 144 / kWordBytes;
      AddBitmapSlots(&object, object.span->PointerBitmap(),
                     object.span->ValueBitmap(), first, 18);
      return object;
    }
    case TestKind::kCellBitmap:
    case TestKind::kLargeBitmap: {
      object =
          kind == TestKind::kCellBitmap
              ? Headed(kind, 1024, types_->internal_type(TypeSet::kCellBitmap))
              : Large(ScanKind::kCellBitmap, 40,
                      types_->internal_type(TypeSet::kCellBitmap));
      const CellBitmaps bitmaps =
          CellBitmapsOf(object.address, object.address + object.bytes);
      object.bytes = bitmaps.words * kWordBytes;
      AddBitmapSlots(&object, bitmaps.pointers, bitmaps.values, 0,
                     bitmaps.words);
      return object;
    }
    case TestKind::kLargeBytes:
      return Large(ScanKind::kNoscan, 40, nullptr);
    case TestKind::kLargeValues:
      object = Large(ScanKind::kValues, 40, nullptr);
      for (size_t i = 0; i < object.bytes / kWordBytes; i++) {
        AddSlot(&object, WordKind::kValue, i);
      }
      return object;
    case TestKind::kLargeArray:
      object = Large(array_->scan, 40, array_);
      for (size_t i = 1; i + 2 < object.bytes / kWordBytes; i += 3) {
        AddSlot(&object, WordKind::kValue, i);
        AddSlot(&object, WordKind::kPointer, i + 2);
      }
      return object;
    case TestKind::kLargeCallback:
      object = Large(ScanKind::kCallback, 40, traced_);
      AddSlot(&object, WordKind::kPointer, 0);
      AddSlot(&object, WordKind::kValue, 1);
      AddSlot(&object, WordKind::kPointer, object.bytes / kWordBytes - 1);
      return object;
    case TestKind::kCount:
      break;
  }
  ADD_FAILURE() << "no such kind";
  return object;
}

size_t MarkFixture::CountMarked() {
  size_t count = 0;
  pages_.ForEachSpan([&](const Span* span) {
    count += CountSet(span->mark_bits, 0, span->cell_count);
  });
  return count;
}

void MarkFixture::Unmark() {
  pages_.ForEachSpan(
      [](Span* span) { ClearBitRange(span->mark_bits, 0, span->cell_count); });
}

}  // namespace loam
