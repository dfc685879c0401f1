// Statistics, walks, questions about addresses, facts for compilers.

#include <cstring>

#include "api/internal.h"
#include "runtime/base/embedder_call.h"
#include "runtime/retaining_paths.h"

namespace loam {
namespace {

static_assert(PauseHistogram::kBuckets == LOAM_PAUSE_BUCKETS);
static_assert(static_cast<int>(SpanKind::kNoscan) == LOAM_SPAN_BYTES &&
              static_cast<int>(SpanKind::kSlots) == LOAM_SPAN_SLOTS &&
              static_cast<int>(SpanKind::kHeaded) == LOAM_SPAN_TYPES &&
              static_cast<int>(SpanKind::kHeadedNoscan) ==
                  LOAM_SPAN_TYPES_WITHOUT_REFERENCES &&
              static_cast<int>(SpanKind::kBitmap) == LOAM_SPAN_BITMAP &&
              static_cast<int>(SpanKind::kDisposed) ==
                  LOAM_SPAN_TYPES_DISPOSED &&
              static_cast<int>(SpanKind::kTyped) == LOAM_SPAN_ONE_TYPE &&
              static_cast<int>(SpanKind::kLarge) == LOAM_SPAN_LARGE);

struct WalkCall {
  loam_walk_fn fn;
  void* data;
};

bool CallWalk(void* object, size_t bytes, const Type* type, void* data) {
  const auto* call = static_cast<WalkCall*>(data);
  int go_on = 0;
  EmbedderCall("the function of loam_heap_walk", [&] {
    go_on = call->fn(object, bytes, Wrap(type), call->data);
  });
  return go_on != 0;
}

struct PathCall {
  loam_path_fn visit;
  void* data;
};

bool CallPath(const PathStep& step, void* data) {
  static_assert(SlotName::kNone == LOAM_NO_INDEX);
  const auto pointer = [](uintptr_t address) {
    return reinterpret_cast<const void*>(address);
  };
  const loam_path_step shown = {
      step.root_kind,     step.root_name,       step.root_thread,
      pointer(step.from), Wrap(step.from_type), pointer(step.slot),
      step.name.field,    step.name.index,      pointer(step.to),
      Wrap(step.to_type), step.to_bytes};
  const auto* call = static_cast<PathCall*>(data);
  int go_on = 0;
  EmbedderCall("the function of loam_find_path",
               [&] { go_on = call->visit(&shown, call->data); });
  return go_on != 0;
}

loam_status WriteFile(loam_mutator* m, const char* path, const char* call,
                      Status (Runtime::*write)(Mutator*, const char*,
                                               ErrorMessage*)) {
  Mutator* mutator = RequireMutator(m, call);
  Runtime* runtime = mutator->runtime;
  if (path == nullptr) {
    return InvalidArgument(runtime, call, "path", "is NULL");
  }
  ErrorMessage problem;
  const Status status = (runtime->*write)(mutator, path, &problem);
  return ReportProblem(runtime, call, status, problem);
}

bool FindObject(loam_heap* heap, const void* p, const char* call, Span** span,
                uintptr_t* cell) {
  RequireNonNull(heap, call, "heap");
  return Unwrap(heap)->FindObject(Address(p), span, cell);
}

}  // namespace
}  // namespace loam

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

loam_status loam_heap_stats(loam_heap* heap, loam_stats* stats) {
  constexpr char kCall[] = "loam_heap_stats";
  if (heap == nullptr || stats == nullptr) {
    return InvalidArgument(Unwrap(heap), kCall,
                           heap == nullptr ? "heap" : "stats", "is NULL");
  }
  if (stats->struct_size != sizeof(loam_stats)) {
    return InvalidArgument(Unwrap(heap), kCall, "stats->struct_size",
                           "is not sizeof(loam_stats)");
  }
  const RuntimeStats s = Unwrap(heap)->stats();
  stats->committed_bytes = s.pages.memory.committed;
  stats->peak_committed_bytes = s.pages.memory.peak_committed;
  stats->metadata_bytes = s.pages.memory.metadata;
  stats->span_bytes = s.pages.span_bytes;
  stats->free_page_bytes = s.pages.free_page_bytes;
  stats->reserved_bytes = s.pages.reserved_bytes;
  stats->external_bytes = s.external_bytes;
  stats->live_bytes_estimate = s.cycle.live_estimate;
  stats->allocated_bytes = s.cycle.allocated_bytes;
  stats->trigger_bytes = s.trigger;
  stats->cycles = s.cycle.cycles;
  stats->live_bytes = s.cycle.live_bytes;
  stats->live_objects = s.cycle.live_objects;
  stats->total_pause_ns = s.cycle.total_pause_ns;
  stats->longest_pause_ns = s.cycle.longest_pause_ns;
  stats->last_pause_ns = s.cycle.last_pause_ns;
  stats->total_mark_ns = s.cycle.total_mark_ns;
  stats->swept_bytes = s.swept_bytes;
  stats->freed_spans = s.pages.freed_spans;
  stats->mutators = s.mutators;
  stats->spans = s.pages.spans;
  stats->types_with_typed_spans = s.typed_types;
  stats->finalizers_set = s.finalizers_set;
  stats->cleanups_set = s.cleanups_set;
  stats->pinned_objects = s.pinned_objects;
  stats->weak_handles = s.weak_handles;
  stats->finalizers_waiting = s.finalizers_waiting;
  stats->released_bytes = s.pages.released_bytes;
  stats->scavenged_bytes = s.scavenged_bytes;
  stats->scavenger_ns = s.scavenger_ns;
  stats->mapped_bytes = s.pages.mapped_bytes;
  stats->background_sweep_ns = s.background_sweep_ns;
  memcpy(stats->pause_histogram, s.cycle.pauses.counts,
         sizeof(stats->pause_histogram));
  stats->manual_bytes = s.pages.all_manual_bytes();
  return LOAM_OK;
}

loam_status loam_heap_span_classes(
    loam_heap* heap,
    void (*visit)(const loam_span_class_stats* stats, void* data), void* data) {
  constexpr char kCall[] = "loam_heap_span_classes";
  if (heap == nullptr || visit == nullptr) {
    return InvalidArgument(Unwrap(heap), kCall,
                           heap == nullptr ? "heap" : "visit", "is NULL");
  }
  Unwrap(heap)->sweeper()->ForEachList([&](const CentralSpanList& list) {
    const AllocationCounter::Counts objects = list.objects();
    const AllocationCounter::Counts bytes =
        list.kind == SpanKind::kLarge
            ? list.large_bytes()
            : AllocationCounter::Counts{objects.allocated * list.cell_bytes,
                                        objects.freed * list.cell_bytes};
    loam_span_class_stats stats;
    stats.kind = static_cast<loam_span_kind>(list.kind);
    stats.type = Wrap(list.type);
    stats.cell_bytes = list.kind == SpanKind::kLarge ? 0 : list.cell_bytes;
    stats.allocated_objects = objects.allocated;
    stats.allocated_bytes = bytes.allocated;
    stats.freed_objects = objects.freed;
    stats.freed_bytes = bytes.freed;
    EmbedderCall("the function of loam_heap_span_classes",
                 [&] { visit(&stats, data); });
  });
  return LOAM_OK;
}

uint64_t loam_heap_resident_bytes(loam_heap* heap) {
  RequireNonNull(heap, "loam_heap_resident_bytes", "heap");
  return Unwrap(heap)->page_heap()->ResidentBytes();
}

loam_status loam_heap_walk(loam_mutator* m, loam_walk_fn fn, void* data) {
  Mutator* mutator = RequireMutator(m, "loam_heap_walk");
  if (fn == nullptr) {
    return InvalidArgument(mutator->runtime, "loam_heap_walk", "fn", "is NULL");
  }
  WalkCall call = {fn, data};
  mutator->runtime->Walk(mutator, CallWalk, &call);
  return LOAM_OK;
}

loam_status loam_heap_map_write(loam_mutator* m, const char* path) {
  return WriteFile(m, path, "loam_heap_map_write", &Runtime::WriteMap);
}

loam_status loam_heap_snapshot_write(loam_mutator* m, const char* path) {
  return WriteFile(m, path, "loam_heap_snapshot_write",
                   &Runtime::WriteSnapshot);
}

loam_status loam_find_path(loam_mutator* m, const void* object,
                           loam_path_fn visit, void* data) {
  constexpr char kCall[] = "loam_find_path";
  Mutator* mutator = RequireMutator(m, kCall);
  Runtime* runtime = mutator->runtime;
  ErrorMessage problem;
  PathCall call = {visit, data};
  const Status status =
      visit == nullptr ? runtime->LogPath(mutator, Address(object), &problem)
                       : runtime->FindPath(mutator, Address(object), CallPath,
                                           &call, &problem);
  return ReportProblem(runtime, kCall, status, problem);
}

size_t loam_object_size(loam_heap* heap, const void* object) {
  Span* span;
  uintptr_t cell;
  return FindObject(heap, object, "loam_object_size", &span, &cell)
             ? Runtime::ObjectBytes(*span, cell)
             : 0;
}

void* loam_object_base(loam_heap* heap, const void* interior) {
  Span* span;
  uintptr_t cell;
  return FindObject(heap, interior, "loam_object_base", &span, &cell)
             ? reinterpret_cast<void*>(cell)
             : nullptr;
}

int loam_is_live_object(loam_heap* heap, const void* p) {
  Span* span;
  uintptr_t cell;
  return FindObject(heap, p, "loam_is_live_object", &span, &cell) ? 1 : 0;
}

loam_status loam_heap_check(loam_mutator* m, loam_check_level level,
                            void (*report)(const char* line, void* data),
                            void* data) {
  Mutator* mutator = RequireMutator(m, "loam_heap_check");
  if (level != LOAM_CHECK_QUICK && level != LOAM_CHECK_FULL) {
    return InvalidArgument(mutator->runtime, "loam_heap_check", "level",
                           "does not exist");
  }
  const size_t failures =
      mutator->runtime->Check(mutator, level == LOAM_CHECK_FULL, report, data);
  if (failures == 0) return LOAM_OK;
  ErrorMessage message;
  message.Format("loam_heap_check: %zu violated invariants", failures);
  return Report(mutator->runtime, Status::kWrongState, message);
}

loam_status loam_jit_info_get(loam_jit_info* info) {
  if (info == nullptr || info->struct_size != sizeof(loam_jit_info)) {
    return InvalidArgument(nullptr, "loam_jit_info_get", "info",
                           info == nullptr
                               ? "is NULL"
                               : "struct_size is not sizeof(loam_jit_info)");
  }
  info->abi_version = LOAM_ABI_VERSION;
  info->mutator_safepoint = offsetof(loam_mutator_abi, safepoint);
  info->mutator_barrier = offsetof(loam_mutator_abi, barrier);
  info->mutator_root_stack = offsetof(loam_mutator_abi, stack);
  info->mutator_user_words = offsetof(loam_mutator_abi, user);
  info->type_cursor_offset = offsetof(loam_type_abi, cursor_offset);
  info->type_cell_size = offsetof(loam_type_abi, cell_size);
  info->cursor_next = offsetof(loam_cursor, next);
  info->cursor_limit = offsetof(loam_cursor, limit);
  info->frame_stack = offsetof(loam_frame, stack);
  info->frame_previous = offsetof(loam_frame, previous);
  info->frame_map = offsetof(loam_frame, map);
  info->frame_slots = sizeof(loam_frame);
  info->stack_frames = offsetof(loam_root_stack, frames);
  info->stack_next_handle = offsetof(loam_root_stack, next_handle);
  info->stack_handle_limit = offsetof(loam_root_stack, handle_limit);
  return LOAM_OK;
}

loam_status loam_cursor_of(loam_cursor_kind kind, size_t size,
                           uint32_t* cursor_offset, uint32_t* cell_size) {
  constexpr char kCall[] = "loam_cursor_of";
  if (cursor_offset == nullptr || cell_size == nullptr) {
    return InvalidArgument(
        nullptr, kCall,
        cursor_offset == nullptr ? "cursor_offset" : "cell_size", "is NULL");
  }
  SpanKind span_kind;
  switch (kind) {
    case LOAM_CURSOR_BYTES:
      span_kind = SpanKind::kNoscan;
      break;
    case LOAM_CURSOR_SLOTS:
      span_kind = SpanKind::kSlots;
      break;
    case LOAM_CURSOR_ARRAY:
      span_kind = SpanKind::kHeaded;
      break;
    case LOAM_CURSOR_ARRAY_WITHOUT_REFERENCES:
      span_kind = SpanKind::kHeadedNoscan;
      break;
    default:
      return InvalidArgument(nullptr, kCall, "kind", "does not exist");
  }
  const bool headed =
      span_kind == SpanKind::kHeaded || span_kind == SpanKind::kHeadedNoscan;
  const size_t cell_needed = headed ? size + kWordBytes : size;
  if (size < kCellAlignment || size > kMaxSmallBytes ||
      cell_needed > kMaxSmallBytes) {
    ErrorMessage message;
    message.Format("%s: size: no cursor serves objects of %zu bytes", kCall,
                   size);
    return Report(nullptr, Status::kNotFound, message);
  }
  const size_t size_class = SizeClassOf(cell_needed);
  *cursor_offset = static_cast<uint32_t>(
      CursorOffset(ClassedSpanClass(span_kind, size_class)));
  *cell_size = static_cast<uint32_t>(ClassCellBytes(size_class));
  return LOAM_OK;
}

}  // extern "C"
