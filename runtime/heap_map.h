// What a map of the heap shows of its spans: how full each is, and sums by span
// class and by type. Read while the world is stopped and cursors are flushed;
// nothing is swept for it.

#ifndef LOAM_RUNTIME_HEAP_MAP_H_
#define LOAM_RUNTIME_HEAP_MAP_H_

#include <cstddef>
#include <cstdint>

#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/span.h"
#include "runtime/heap/type_set.h"
#include "runtime/mutator.h"
#include "runtime/span_class.h"

namespace loam {

// Whose a span is, as far as a map tells.
enum class MapSpanState : uint8_t {
  kSwept = 0,    // on a central list
  kUnswept = 1,  // the same; what has died in it is not known yet
  kCached = 2,   // a mutator allocates in it
};

// A span at the moment of the map.
struct SpanReading {
  MapSpanState state;
  // Cells that hold an object: allocated and not found dead. Of an unswept span
  // those that the last cycle has marked.
  uint32_t cells_in_use;

  bool IsInUse(const Span& span, size_t cell) const {
    return state == MapSpanState::kUnswept ? span.IsMarked(cell)
                                           : span.IsAllocated(cell);
  }
};
SpanReading ReadSpan(const Span& span, uint32_t generation);

// Span classes, and behind them one for all spans of a large object.
constexpr SpanClass kLargeMapClass = static_cast<SpanClass>(kSpanClassCount);
constexpr size_t kMapClassCount = kSpanClassCount + 1;

struct MapClassTotals {
  uint64_t spans;
  uint64_t pages;
  uint64_t cells;
  uint64_t cells_in_use;
  // Of each span; for large ones, which differ, of the last.
  size_t cell_bytes;
  uint32_t span_pages;
  uint32_t span_cells;
  const Type* type;  // NULL: none, or of several types
  SpanKind kind;
  // The list of classes that have spans: 0, not on it; otherwise the next class
  // plus one, or kEndOfUsedList.
  uint32_t next;
};

// Types by index, and behind them what has none of the embedder's: objects of
// the internal types, then the others by how they are scanned.
using MapType = uint32_t;
constexpr MapType kFirstInternalMapType = kMaxTypes;
constexpr MapType kFirstUntypedMapType =
    kFirstInternalMapType + TypeSet::kInternalTypes;
constexpr size_t kMapTypeCount =
    kFirstUntypedMapType + static_cast<size_t>(ScanKind::kHeaded) + 1;

struct MapTypeTotals {
  uint64_t objects;
  uint64_t bytes;    // of their cells
  const Type* type;  // NULL: not one of the embedder's
  uint32_t next;     // the same for types
};

// Two tables that are filled while spans are added. Their memory belongs to no
// heap and counts towards no limit, so that the map of a heap that has reached
// its limit can be drawn.
class HeapMapTotals {
 public:
  explicit HeapMapTotals(const TypeSet& types) : types_(types) {}
  ~HeapMapTotals();
  HeapMapTotals(const HeapMapTotals&) = delete;
  HeapMapTotals& operator=(const HeapMapTotals&) = delete;

  // Both are false when out of memory.
  bool Initialize();
  bool Add(const Span& span, const SpanReading& reading);

  static SpanClass ClassOf(const Span& span);
  // Of the one type of a span, or of objects without one.
  MapType TypeOf(const Span& span) const { return MapTypeOf(span, span.type); }
  static const char* NameOf(MapType map_type, const MapTypeTotals& totals);

  // Calls visit(class, totals) for each class that has spans.
  template <typename Visit>
  void ForEachClass(Visit&& visit) const {
    for (uint32_t at = first_class_; at != kEndOfUsedList;) {
      const MapClassTotals& totals = classes_.at(at - 1);
      visit(SpanClass{at - 1}, totals);
      at = totals.next;
    }
  }
  // Calls visit(type, totals) for each type that has objects, or spans.
  template <typename Visit>
  void ForEachType(Visit&& visit) const {
    for (uint32_t at = first_type_; at != kEndOfUsedList;) {
      const MapTypeTotals& totals = map_types_.at(at - 1);
      visit(MapType{at - 1}, totals);
      at = totals.next;
    }
  }

 private:
  MapType MapTypeOf(const Span& span, const Type* type) const;
  bool AddObjects(const Span& span, const Type* type, uint64_t objects);

  const TypeSet& types_;
  MemoryLedger ledger_;  // without a limit
  SparseTable<MapClassTotals> classes_;
  SparseTable<MapTypeTotals> map_types_;
  uint32_t first_class_ = kEndOfUsedList;  // head of MapClassTotals::next
  uint32_t first_type_ = kEndOfUsedList;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_MAP_H_
