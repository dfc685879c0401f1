#include "examples/toylang/heap_bindings.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

namespace toylang {
namespace {

// How the collector finds the references among values; see value.h.
loam_encoding ValueEncoding() {
  loam_encoding encoding = {};
  encoding.kind = LOAM_ENCODING_NANBOX;
  encoding.nanbox_shift = Value::kTagShift;
  encoding.nanbox_first_tag = Value::kReferenceTag;
  encoding.nanbox_last_tag = Value::kReferenceTag;
  encoding.nanbox_payload_mask = Value::kAddressMask;
  return encoding;
}

// For calls that fail only if this file misuses them.
void Check(loam_status status) {
  if (status == LOAM_OK) return;
  std::fprintf(stderr, "toylang: %s: %s\n", loam_status_name(status),
               loam_last_error());
  std::abort();
}

double Milliseconds(uint64_t ns) { return static_cast<double>(ns) / 1e6; }
double Mebibytes(uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

const char* ReasonName(loam_cycle_reason reason) {
  switch (reason) {
    case LOAM_CYCLE_TRIGGER:
      return "growth";
    case LOAM_CYCLE_REQUESTED:
      return "gc()";
    case LOAM_CYCLE_MEMORY:
      return "memory";
    case LOAM_CYCLE_STRESS:
      return "stress";
  }
  return "?";
}

// Runs inside an allocation: prints and does nothing else.
void ReportCollection(loam_heap*, const loam_cycle_info* info, void*) {
  std::fprintf(stderr,
               "gc %" PRIu64
               " (%s): paused %.3f ms, %.2f MiB -> %.2f MiB, "
               "%" PRIu64 " objects, next at %.2f MiB\n",
               info->number, ReasonName(info->reason),
               Milliseconds(info->pause_ns), Mebibytes(info->live_bytes_before),
               Mebibytes(info->live_bytes), info->live_objects,
               Mebibytes(info->next_trigger_bytes));
}

loam_stats ReadStatistics(loam_heap* heap) {
  loam_stats stats = {};
  stats.struct_size = sizeof(stats);
  Check(loam_heap_stats(heap, &stats));
  return stats;
}

}  // namespace

std::unique_ptr<Heap> Heap::Create(const HeapOptions& wanted,
                                   std::string* error) {
  loam_options options;
  loam_options_init(&options);
  options.name = "toylang";
  options.encoding = ValueEncoding();
  options.weak_cleared_word = Value::Nil().bits();
  options.heap_limit = wanted.limit_bytes;
  if (wanted.stress_interval != 0) {
    // Whoever asks for stress looks for mistakes: find them all.
    options.check.stress_interval = wanted.stress_interval;
    options.check.poison = 1;
    options.check.check_stores = 1;
  }
  options.check.verify_marking = wanted.verify || wanted.stress_interval != 0;
  if (wanted.report_collections) {
    options.callbacks.cycle_end = ReportCollection;
  }

  std::unique_ptr<Heap> heap(new Heap);
  // A profile shows the functions of the program, not those of the interpreter.
  options.profile.frames = ListFrames;
  options.profile.describe = DescribeFunction;
  options.profile.data = heap.get();
  options.profile.stacks = LOAM_PROFILE_STACKS_EMBEDDER;
  if (loam_heap_create(&options, &heap->heap_) != LOAM_OK ||
      loam_mutator_attach(heap->heap_, "toylang", &heap->mutator_) != LOAM_OK) {
    *error = loam_last_error();
    return nullptr;
  }
  for (size_t i = 0; i < kObjectKinds; i++) {
    const loam_type_info info = LayoutOf(static_cast<ObjectKind>(i));
    Check(loam_type_register(loam_heap_types(heap->heap_), &info,
                             &heap->types_[i]));
  }
  loam_root* root;  // goes with the heap
  Check(loam_root_add_range(heap->heap_, heap->characters_,
                            std::size(heap->characters_), LOAM_VALUE,
                            "characters", &root));
  loam_finalizers_on_ready(
      heap->heap_,
      [](void* data) {
        static_cast<Heap*>(data)->finalizers_ready_.store(
            true, std::memory_order_relaxed);
      },
      heap.get());
  return heap;
}

Heap::~Heap() {
  finalizer_caller_ = nullptr;
  for (auto& [object, registration] : registrations_) {
    loam_global_destroy(registration.function);
  }
  if (mutator_ != nullptr) loam_mutator_detach(mutator_);
  if (heap_ != nullptr) loam_heap_destroy(heap_);
}

void Heap::AddRoots(RootSource* source, const char* name) {
  loam_root* root;
  Check(loam_mutator_root_provider_add(
      mutator_,
      [](loam_visitor* visitor, void* data) {
        static_cast<RootSource*>(data)->VisitRoots(RootVisitor(visitor));
      },
      source, name, &root));
}

String* Heap::NewUnfilledString(size_t length) {
  if (length > UINT32_MAX) return nullptr;
  String* string = NewWithTail<String>(length);
  if (string != nullptr) string->length = static_cast<uint32_t>(length);
  return string;
}

String* Heap::NewString(std::string_view text) {
  Value* shared = nullptr;
  if (text.size() == 1 && static_cast<unsigned char>(text[0]) < 128) {
    shared = &characters_[static_cast<size_t>(text[0])];
    if (String* string = TryAs<String>(*shared)) return string;
  }
  String* string = NewUnfilledString(text.size());
  if (string == nullptr) return nullptr;
  std::memcpy(string->bytes(), text.data(), text.size());
  if (shared != nullptr) {
    // Memory of the whole heap, not of this mutator: no plain store.
    loam_root_store_value(mutator_, shared, Value::Reference(string).bits());
  }
  return string;
}

void Heap::Collect() { Check(loam_collect(mutator_, LOAM_COLLECT_FULL)); }

bool Heap::SetFinalizer(Object* object, Value function) {
  if (registrations_.contains(object)) {
    // It cannot be queued already: then `object` would be out of reach.
    Check(loam_finalizer_clear(mutator_, object));
    Forget(object);
  }
  if (function.IsNil()) return true;
  Registration registration = {this, nullptr};
  if (loam_global_create(heap_, LOAM_VALUE, function.bits(),
                         &registration.function) != LOAM_OK) {
    return false;
  }
  auto [position, added] = registrations_.emplace(object, registration);
  if (loam_finalizer_set(mutator_, object, Finalize, &position->second,
                         LOAM_FINALIZER_ORDERED) != LOAM_OK) {
    Forget(object);
    return false;
  }
  return true;
}

void Heap::Forget(void* object) {
  auto position = registrations_.find(object);
  loam_global_destroy(position->second.function);
  registrations_.erase(position);
}

void Heap::SetFinalizerCaller(FinalizerCaller caller) {
  finalizer_caller_ = std::move(caller);
}

// Called by loam_finalizers_run, which keeps `object` alive meanwhile.
void Heap::Finalize(loam_mutator*, void* object, void* data) {
  Registration* registration = static_cast<Registration*>(data);
  Heap* heap = registration->heap;
  // LOAM_FINALIZE_AT_DESTROY was set, but there is no interpreter any more.
  if (heap->finalizer_caller_ == nullptr) return;
  const Value function =
      Value::FromBits(loam_global_get(registration->function));
  Rooted<Object> rooted(*heap, function.AsObject());
  heap->Forget(object);  // so that the function may set a new finalizer
  heap->finalizer_caller_(function, Value::Reference(object));
}

void Heap::RunFinalizers() {
  if (running_finalizers_) return;
  running_finalizers_ = true;
  finalizers_ready_.store(false, std::memory_order_relaxed);
  size_t waiting = 0;
  Check(loam_finalizers_run(mutator_, 0, nullptr, &waiting));
  // The wake-up comes only for an empty queue.
  if (waiting != 0) finalizers_ready_.store(true, std::memory_order_relaxed);
  running_finalizers_ = false;
}

uint32_t Heap::NumberFunction(std::string name, uint32_t first_line) {
  profiled_functions_.push_back({std::move(name), first_line});
  return static_cast<uint32_t>(profiled_functions_.size() - 1);
}

// Runs inside an allocation, when that is sampled.
size_t Heap::ListFrames(loam_mutator*, loam_profile_frame* frames, size_t max,
                        void* data) {
  const CallSource* source = static_cast<Heap*>(data)->call_source_;
  ProfiledCall calls[64];
  if (source == nullptr) return 0;
  const size_t count =
      source->ListCalls(calls, std::min(max, std::size(calls)));
  for (size_t i = 0; i < count; i++) {
    frames[i] = {calls[i].function, calls[i].line};
  }
  return count;
}

void Heap::DescribeFunction(loam_word function,
                            loam_profile_function* description, void* data) {
  const Heap* heap = static_cast<Heap*>(data);
  const ProfiledFunction& profiled = heap->profiled_functions_[function];
  description->name = profiled.name.c_str();
  description->file = heap->program_file_.c_str();
  description->first_line = profiled.first_line;
}

std::string Heap::WriteProfile(const std::string& path) {
  Collect();
  if (loam_heap_profile_write(heap_, path.c_str()) == LOAM_OK) return "";
  return loam_last_error();
}

std::vector<std::pair<const char*, double>> Heap::Statistics() const {
  const loam_stats stats = ReadStatistics(heap_);
  const auto number = [](uint64_t n) { return static_cast<double>(n); };
  return {
      {"collections", number(stats.cycles)},
      {"live_bytes", number(stats.live_bytes_estimate)},
      {"live_objects", number(stats.live_objects)},
      {"allocated_bytes", number(stats.allocated_bytes)},
      {"trigger_bytes", number(stats.trigger_bytes)},
      {"committed_bytes", number(stats.committed_bytes)},
      {"peak_bytes", number(stats.peak_committed_bytes)},
      {"metadata_bytes", number(stats.metadata_bytes)},
      {"total_pause_ns", number(stats.total_pause_ns)},
      {"longest_pause_ns", number(stats.longest_pause_ns)},
      {"finalizers_set", number(stats.finalizers_set)},
      {"finalizers_waiting", number(stats.finalizers_waiting)},
      {"pinned_objects", number(stats.pinned_objects)},
  };
}

void Heap::PrintSummary() const {
  const loam_stats stats = ReadStatistics(heap_);
  std::fprintf(stderr,
               "gc summary: %" PRIu64
               " collections, paused %.3f ms in total and "
               "%.3f ms at most; allocated %.2f MiB, peak heap %.2f MiB\n",
               stats.cycles, Milliseconds(stats.total_pause_ns),
               Milliseconds(stats.longest_pause_ns),
               Mebibytes(stats.allocated_bytes),
               Mebibytes(stats.peak_committed_bytes));
  // For run_programs.py.
  std::fprintf(stderr,
               "gc-stats: collections=%" PRIu64 " total_pause_ns=%" PRIu64
               " longest_pause_ns=%" PRIu64 " peak_heap_bytes=%" PRIu64 "\n",
               stats.cycles, stats.total_pause_ns, stats.longest_pause_ns,
               stats.peak_committed_bytes);
}

std::string Heap::WriteSnapshot(const std::string& path) {
  if (loam_heap_snapshot_write(mutator_, path.c_str()) == LOAM_OK) return "";
  return loam_last_error();
}

std::string Heap::WriteMap(const std::string& path) {
  if (loam_heap_map_write(mutator_, path.c_str()) == LOAM_OK) return "";
  return loam_last_error();
}

}  // namespace toylang
