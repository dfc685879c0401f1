// Writes the map of a heap: the page, and in it the data as one JSON object.
//
//   totals   bytes and counts, by name
//   kinds    names of SpanKind, by number
//   arenas   for each its base (hexadecimal) and its pages, a list of numbers:
//              0, n   n pages outside the heap
//              1, n   n free pages, committed
//              2, n   n free pages, given back to the OS or not used yet
//              3, n   n pages in no span that nobody else may take now: on
//                     their way to the OS
//              4, n   n pages of the last span of the arena before
//              5, pages, cell bytes, type, state, cells in use
//                     a span of a large object
//              6 + c, cells in use, state, n
//                     n spans of class c, one behind the other
//   classes  [class, kind, cell bytes, pages of a span, cells of a span, type
//   or
//            -1, spans, pages, cells, cells in use]
//   types    [type, name, 1 if it is the embedder's, objects, bytes]
//
// Spans that straddle arenas are in the list of the one in which they begin.
// The reader is heap_map_data.js.

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "runtime/heap_map.h"
#include "runtime/heap_map_page.h"
#include "runtime/output_file.h"
#include "runtime/runtime.h"

namespace loam {
namespace {

// Names for the page, in the order of SpanKind.
constexpr const char* kKindNames[] = {
    "noscan", "slots",    "headed", "headed noscan",
    "bitmap", "disposed", "typed",  "large",
};
static_assert(std::size(kKindNames) ==
              static_cast<size_t>(SpanKind::kLarge) + 1);

enum PageCode : uint64_t {
  kOutside = 0,
  kFree = 1,
  kReleased = 2,
  kUnavailable = 3,
  kContinued = 4,
  kLargeSpan = 5,
  kFirstClass = 6,
};

// The list of one arena: joins what is equal and adjacent.
class PageList {
 public:
  explicit PageList(OutputFile* file) : file_(file) {}
  ~PageList() { End(); }
  PageList(const PageList&) = delete;
  PageList& operator=(const PageList&) = delete;

  void AddPages(PageCode code, uint64_t count) {
    Start(code, 0, MapSpanState::kSwept);
    count_ += count;
  }
  void AddSpan(SpanClass span_class, const SpanReading& reading) {
    Start(kFirstClass + span_class, reading.cells_in_use, reading.state);
    count_++;
  }
  void AddLarge(const Span& span, MapType type, const SpanReading& reading) {
    End();
    for (const uint64_t number :
         {uint64_t{kLargeSpan}, uint64_t{span.page_count},
          uint64_t{span.cell_bytes}, uint64_t{type},
          static_cast<uint64_t>(reading.state),
          uint64_t{reading.cells_in_use}}) {
      Put(number);
    }
  }

 private:
  // Makes these the current run, whose end is not known yet.
  void Start(uint64_t code, uint64_t in_use, MapSpanState state) {
    if (count_ > 0 && code == code_ && in_use == in_use_ && state == state_) {
      return;
    }
    End();
    code_ = code;
    in_use_ = in_use;
    state_ = state;
  }
  void End() {
    if (count_ == 0) return;
    Put(code_);
    if (code_ >= kFirstClass) {
      Put(in_use_);
      Put(static_cast<uint64_t>(state_));
    }
    Put(count_);
    count_ = 0;
  }
  void Put(uint64_t number) {
    if (!is_first_) file_->Put(",");
    is_first_ = false;
    file_->PutNumber(number);
  }

  OutputFile* const file_;
  bool is_first_ = true;
  uint64_t code_ = 0;
  uint64_t in_use_ = 0;
  MapSpanState state_ = MapSpanState::kSwept;
  uint64_t count_ = 0;
};

class MapWriter {
 public:
  MapWriter(Runtime* runtime, OutputFile* file)
      : runtime_(runtime), file_(file), totals_(*runtime->types()) {}

  bool Initialize() { return totals_.Initialize(); }
  // The world is stopped and cursors are flushed. False when out of memory.
  bool Write();

 private:
  // A member of an object, `"name":`, after what comes before it.
  void Name(const char* name) {
    file_->Put(",\n\"");
    file_->Put(name);
    file_->Put("\":");
  }
  void Number(const char* name, uint64_t number) {
    Name(name);
    file_->PutNumber(number);
  }
  void WriteTotals();
  void WriteArenas();
  void WriteArena(const Arena& arena);
  static PageCode CodeOf(const PageChunk& chunk, size_t page,
                         size_t grown_pages);
  void WriteClasses();
  void WriteTypes();

  Runtime* const runtime_;
  OutputFile* const file_;
  HeapMapTotals totals_;
  bool is_out_of_memory_ = false;
};

void MapWriter::WriteTotals() {
  const RuntimeStats stats = runtime_->stats();
  file_->Put("{\n\"name\":");
  file_->PutJsonString(runtime_->options().name);
  Number("time", static_cast<uint64_t>(time(nullptr)));
  Number("process", static_cast<uint64_t>(getpid()));
  Number("pageBytes", kPageBytes);
  Number("arenaPages", kPagesPerArena);
  Number("largeClass", kLargeMapClass);
  Name("totals");
  file_->Put("{\"format\":1");
  Number("committed", stats.pages.memory.committed);
  Number("peakCommitted", stats.pages.memory.peak_committed);
  Number("inSpans", stats.pages.span_bytes);
  Number("free", stats.pages.free_page_bytes);
  Number("released", stats.pages.released_bytes);
  Number("reserved", stats.pages.reserved_bytes);
  Number("metadata", stats.pages.memory.metadata);
  Number("spans", stats.pages.spans);
  Number("live", stats.cycle.live_bytes);
  Number("liveObjects", stats.cycle.live_objects);
  Number("liveEstimate", stats.cycle.live_estimate);
  Number("trigger", stats.trigger);
  Number("external", stats.external_bytes);
  Number("cycles", stats.cycle.cycles);
  file_->Put("}");
  Name("kinds");
  file_->Put("[");
  for (const char* kind : kKindNames) {
    if (kind != kKindNames[0]) file_->Put(",");
    file_->PutJsonString(kind);
  }
  file_->Put("]");
}

// The one with the lowest base above `base`; NULL: there is none.
const Arena* NextArena(const ArenaSnapshot& arenas, uintptr_t base) {
  const Arena* next = nullptr;
  for (const Arena* arena : arenas) {
    if (arena->base > base && (next == nullptr || arena->base < next->base)) {
      next = arena;
    }
  }
  return next;
}

void MapWriter::WriteArenas() {
  Name("arenas");
  file_->Put("[");
  const ArenaSnapshot arenas = runtime_->page_heap()->arena_snapshot();
  for (const Arena* arena = NextArena(arenas, 0); arena != nullptr;) {
    file_->Put("\n");
    WriteArena(*arena);
    arena = NextArena(arenas, arena->base);
    if (arena != nullptr) file_->Put(",");
  }
  file_->Put("]");
}

void MapWriter::WriteArena(const Arena& arena) {
  PageHeap* page_heap = runtime_->page_heap();
  const uint32_t generation = runtime_->sweeper()->generation();
  file_->Put("{\"base\":\"");
  file_->PutHex(arena.base);
  file_->Put("\",\"pages\":[");
  {
    PageList list(file_);
    PageChunk chunk;
    size_t chunk_read = SIZE_MAX;  // which one `chunk` is
    size_t grown_pages = 0;
    for (size_t page = 0; page < kPagesPerArena;) {
      const uintptr_t address = arena.base + page * kPageBytes;
      const Span* span = arena.spans[page].load(std::memory_order_acquire);
      if (span == nullptr) {
        if (page / kPagesPerChunk != chunk_read) {
          chunk_read = page / kPagesPerChunk;
          chunk = page_heap->CopyChunk(arena, chunk_read, &grown_pages);
        }
        list.AddPages(CodeOf(chunk, page % kPagesPerChunk, grown_pages), 1);
        page++;
        continue;
      }
      const size_t first = (address - span->base) / kPageBytes;
      const size_t pages =
          std::min<size_t>(span->page_count - first, kPagesPerArena - page);
      page += pages;
      if (first > 0) {
        list.AddPages(kContinued, pages);
        continue;
      }
      const SpanReading reading = ReadSpan(*span, generation);
      if (!totals_.Add(*span, reading)) is_out_of_memory_ = true;
      if (span->kind == SpanKind::kLarge) {
        list.AddLarge(*span, totals_.TypeOf(*span), reading);
      } else {
        list.AddSpan(HeapMapTotals::ClassOf(*span), reading);
      }
    }
  }
  file_->Put("]}");
}

PageCode MapWriter::CodeOf(const PageChunk& chunk, size_t page,
                           size_t grown_pages) {
  if (page >= grown_pages) return kOutside;
  if (TestBit(chunk.allocated, page)) return kUnavailable;
  return TestBit(chunk.scavenged, page) ? kReleased : kFree;
}

void MapWriter::WriteClasses() {
  Name("classes");
  file_->Put("[");
  const char* separator = "\n[";
  totals_.ForEachClass([&](SpanClass c, const MapClassTotals& totals) {
    file_->Put(separator);
    separator = ",\n[";
    file_->PutNumber(c);
    const auto put = [this](uint64_t number) {
      file_->Put(",");
      file_->PutNumber(number);
    };
    put(static_cast<uint64_t>(totals.kind));
    put(totals.cell_bytes);
    put(totals.span_pages);
    put(totals.span_cells);
    if (totals.type == nullptr) {
      file_->Put(",-1");
    } else {
      put(totals.type->index);
    }
    put(totals.spans);
    put(totals.pages);
    put(totals.cells);
    put(totals.cells_in_use);
    file_->Put("]");
  });
  file_->Put("]");
}

void MapWriter::WriteTypes() {
  Name("types");
  file_->Put("[");
  const char* separator = "\n[";
  totals_.ForEachType([&](MapType type, const MapTypeTotals& totals) {
    file_->Put(separator);
    separator = ",\n[";
    file_->PutNumber(type);
    file_->Put(",");
    file_->PutJsonString(HeapMapTotals::NameOf(type, totals));
    file_->Put(totals.type != nullptr ? ",1," : ",0,");
    file_->PutNumber(totals.objects);
    file_->Put(",");
    file_->PutNumber(totals.bytes);
    file_->Put("]");
  });
  file_->Put("]");
}

bool MapWriter::Write() {
  file_->Put(HeapMapPageStart());
  WriteTotals();
  WriteArenas();
  WriteClasses();
  WriteTypes();
  file_->Put("\n}\n");
  file_->Put(HeapMapPageEnd());
  return !is_out_of_memory_;
}

}  // namespace

Status Runtime::WriteMap(Mutator* m, const char* path, ErrorMessage* message) {
  const ScopedFatalContext context(&fatal_context_);
  OutputFile file(path);
  const Status opened = file.Open(message);
  if (opened != Status::kOk) return opened;
  MapWriter writer(this, &file);
  bool is_written = writer.Initialize();
  if (is_written) {
    StopTheWorld(m);
    FlushCursors();
    is_written = writer.Write();
    StartTheWorld(m);
  }
  if (!is_written) {
    message->Format("out of memory for its tables");
    return Status::kOutOfMemory;
  }
  return file.Commit(message);
}

}  // namespace loam
