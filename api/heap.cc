// Heaps, limits, collections, fork.

#include <cstring>
#include <new>

#include "api/internal.h"
#include "api/profile_callbacks.h"
#include "runtime/base/embedder_call.h"

namespace loam {
namespace {

// The embedder's callbacks live in the options' copy inside the heap.
struct EmbedderCallbacks {
  loam_callbacks callbacks;
  loam_platform platform;
  loam_profile_options profile;
};

bool PostTask(void* data, Task task, void* argument, uint64_t delay_ns) {
  const loam_platform& platform =
      static_cast<const EmbedderCallbacks*>(data)->platform;
  int posted = 0;
  EmbedderCall("the post function of a platform", [&] {
    posted = platform.post(task, argument, delay_ns, platform.data);
  });
  return posted != 0;
}

const loam_callbacks& CallbacksOf(Runtime* runtime) {
  return static_cast<const EmbedderCallbacks*>(
             runtime->options().callbacks.embedder)
      ->callbacks;
}

loam_cycle_info Convert(const CycleInfo& info) {
  loam_cycle_info converted = {};
  converted.struct_size = sizeof(converted);
  converted.number = info.number;
  converted.reason = static_cast<loam_cycle_reason>(info.reason);
  converted.pause_ns = info.pause_ns;
  converted.mark_ns = info.mark_ns;
  converted.live_bytes_before = info.live_bytes_before;
  converted.live_bytes = info.live_bytes;
  converted.live_objects = info.live_objects;
  converted.next_trigger_bytes = info.next_trigger;
  converted.unswept_spans = info.unswept_spans;
  return converted;
}

bool CallOutOfMemory(Runtime* runtime, size_t requested) {
  const loam_callbacks& c = CallbacksOf(runtime);
  int again = 0;
  EmbedderCall("the out-of-memory callback", [&] {
    again = c.out_of_memory(Wrap(runtime), requested, c.data);
  });
  return again != 0;
}
void CallCycleBegin(Runtime* runtime, const CycleInfo& info) {
  const loam_callbacks& c = CallbacksOf(runtime);
  const loam_cycle_info converted = Convert(info);
  EmbedderCall("the cycle-begin callback",
               [&] { c.cycle_begin(Wrap(runtime), &converted, c.data); });
}
void CallCycleEnd(Runtime* runtime, const CycleInfo& info) {
  const loam_callbacks& c = CallbacksOf(runtime);
  const loam_cycle_info converted = Convert(info);
  EmbedderCall("the cycle-end callback",
               [&] { c.cycle_end(Wrap(runtime), &converted, c.data); });
}
void CallLog(Runtime* runtime, const char* line) {
  const loam_callbacks& c = CallbacksOf(runtime);
  EmbedderCall("the log callback", [&] { c.log(Wrap(runtime), line, c.data); });
}
void CallFatal(Runtime* runtime, const char* message) {
  const loam_callbacks& c = CallbacksOf(runtime);
  EmbedderCall("the fatal callback",
               [&] { c.fatal(Wrap(runtime), message, c.data); });
}

ValueEncoding Convert(const loam_encoding& e) {
  ValueEncoding converted;
  converted.kind = static_cast<EncodingKind>(e.kind);
  converted.low_tag_mask = e.low_tag_mask;
  converted.low_tag_references = e.low_tag_references;
  converted.nanbox_shift = e.nanbox_shift;
  converted.nanbox_first_tag = e.nanbox_first_tag;
  converted.nanbox_last_tag = e.nanbox_last_tag;
  converted.nanbox_payload_mask = e.nanbox_payload_mask;
  converted.decode = e.decode;
  return converted;
}

RuntimeOptions Convert(const loam_options& o, EmbedderCallbacks* given) {
  RuntimeOptions r;
  if (o.name != nullptr) snprintf(r.name, sizeof(r.name), "%s", o.name);
  r.encoding = Convert(o.encoding);
  r.types = Unwrap(o.types);
  r.pacer.fixed = o.policy == LOAM_POLICY_FIXED;
  r.pacer.gc_percent = o.gc_percent;
  r.pacer.minimum_bytes = o.minimum_heap_bytes;
  r.pacer.fixed_bytes = o.fixed_heap_size;
  r.heap_limit = o.heap_limit == 0 ? kNoLimit : o.heap_limit;
  r.memory_limit = o.memory_limit;
  r.huge_pages = o.huge_pages != 0;
  r.trace = o.trace;
  r.background = o.no_background == 0;
  r.finalize_at_destroy = o.finalize_at_destroy != 0;
  r.retain_percent = o.retain_percent;
  r.workers = o.workers;
  if (o.platform != nullptr) r.platform = {&PostTask, given};
  r.arena_hint = o.arena_hint;
  r.randomize_base = o.randomize_base != 0;
  r.raw_stores = o.raw_stores != 0;
  r.profile_rate = o.profile_rate;
  r.profile_native_frames = o.profile.stacks != LOAM_PROFILE_STACKS_EMBEDDER;
  r.weak_cleared_word = o.weak_cleared_word;
  r.check.stress_interval = o.check.stress_interval;
  r.check.stress_probability = o.check.stress_probability;
  r.check.stress_seed = o.check.stress_seed;
  r.check.poison = o.check.poison != 0;
  r.check.verify_marking = o.check.verify_marking != 0;
  r.check.check_stores = o.check.check_stores != 0;
  r.check.check_threads = o.check.check_threads != 0;
  r.check.forbid_foreign_references = o.check.forbid_foreign_references != 0;
  r.check.abort_on_misuse = o.check.abort_on_misuse != 0;
  const loam_callbacks& c = o.callbacks;
  if (c.out_of_memory != nullptr) r.callbacks.out_of_memory = CallOutOfMemory;
  if (c.cycle_begin != nullptr) r.callbacks.cycle_begin = CallCycleBegin;
  if (c.cycle_end != nullptr) r.callbacks.cycle_end = CallCycleEnd;
  if (c.log != nullptr) r.callbacks.log = CallLog;
  if (c.fatal != nullptr) r.callbacks.fatal = CallFatal;
  SetProfileCallbacks(o.profile, &r.callbacks);
  r.callbacks.embedder = given;
  return r;
}

// What loam_heap_create checks before it looks at values.
loam_status CheckShape(const loam_options* o, loam_heap** heap) {
  constexpr char kCall[] = "loam_heap_create";
  if (o == nullptr || heap == nullptr) {
    return InvalidArgument(nullptr, kCall, o == nullptr ? "options" : "heap",
                           "is NULL");
  }
  if (o->struct_size != sizeof(loam_options)) {
    return InvalidArgument(nullptr, kCall, "options.struct_size",
                           "is not sizeof(loam_options); initialise with "
                           "loam_options_init");
  }
  if (o->abi_version != LOAM_ABI_VERSION ||
      o->abi_layout != loam_abi_layout()) {
    ErrorMessage message;
    message.Format(
        "loam_heap_create: options.abi_version, abi_layout: compiled against "
        "ABI %u (layout %08x), the library has %u (%08x); compile again with "
        "the library's headers",
        o->abi_version, o->abi_layout, LOAM_ABI_VERSION, loam_abi_layout());
    return Report(nullptr, Status::kAbiMismatch, message);
  }
  if (static_cast<unsigned>(o->encoding.kind) > LOAM_ENCODING_CALLBACK) {
    return InvalidArgument(nullptr, kCall, "options.encoding.kind",
                           "does not exist");
  }
  if (static_cast<unsigned>(o->policy) > LOAM_POLICY_FIXED) {
    return InvalidArgument(nullptr, kCall, "options.policy", "does not exist");
  }
  if (o->platform != nullptr &&
      (o->platform->struct_size != sizeof(loam_platform) ||
       o->platform->post == nullptr)) {
    return InvalidArgument(nullptr, kCall, "options.platform",
                           o->platform->post == nullptr
                               ? "has no function to post with"
                               : "is not initialised with loam_platform_init");
  }
  if (o->profile.frames != nullptr && o->profile.describe == nullptr) {
    return InvalidArgument(nullptr, kCall, "options.profile.describe",
                           "is NULL, although there is a frames callback");
  }
  if (static_cast<unsigned>(o->profile.stacks) > LOAM_PROFILE_STACKS_EMBEDDER) {
    return InvalidArgument(nullptr, kCall, "options.profile.stacks",
                           "does not exist");
  }
  return LOAM_OK;
}

void RequirePrepared(const Mutator* m, const char* call) {
  if (!m->fork_prepared) {
    const ScopedFatalContext context(m->runtime->fatal_context());
    FatalMisuse("%s: m: loam_fork_prepare has not been called", call);
  }
}

loam_status NullHeap(const char* call) {
  return InvalidArgument(nullptr, call, "heap", "is NULL");
}

}  // namespace

const loam_profile_options& ProfileOptionsOf(Runtime* runtime) {
  return static_cast<const EmbedderCallbacks*>(
             runtime->options().callbacks.embedder)
      ->profile;
}

}  // namespace loam

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

loam_status loam_heap_create(const loam_options* options, loam_heap** heap) {
  const loam_status shape = CheckShape(options, heap);
  if (shape != LOAM_OK) return shape;
  auto* callbacks =
      new (std::nothrow) EmbedderCallbacks{options->callbacks, {}, {}};
  ErrorMessage message;
  Status status = Status::kOutOfMemory;
  message.Format("loam_heap_create: out of memory");
  Runtime* runtime = nullptr;
  if (callbacks != nullptr) {
    if (options->platform != nullptr) callbacks->platform = *options->platform;
    callbacks->profile = options->profile;
    RuntimeOptions converted = Convert(*options, callbacks);
    status = ApplyEnvironment(&converted, &message);
    if (status == Status::kOk) status = CheckOptionRanges(converted, &message);
    if (status == Status::kOk) {
      ApplyImpliedChecks(&converted.check);
      status = Runtime::Create(converted, &runtime, &message);
    }
  }
  if (status != Status::kOk) {
    delete callbacks;
    return Report(nullptr, status, message);
  }
  if (ThreadPool* pool = ThreadPoolOf(callbacks->platform)) pool->AddUser();
  *heap = Wrap(runtime);
  return LOAM_OK;
}

loam_status loam_heap_destroy(loam_heap* heap) {
  if (heap == nullptr) return NullHeap("loam_heap_destroy");
  const auto* callbacks = static_cast<const EmbedderCallbacks*>(
      Unwrap(heap)->options().callbacks.embedder);
  ErrorMessage message;
  const Status status = Unwrap(heap)->Destroy(&message);
  if (status != Status::kOk) {
    return Report(Unwrap(heap), status, message);
  }
  if (ThreadPool* pool = ThreadPoolOf(callbacks->platform)) pool->RemoveUser();
  delete callbacks;
  return LOAM_OK;
}

loam_type_set* loam_heap_types(loam_heap* heap) {
  RequireNonNull(heap, "loam_heap_types", "heap");
  return Wrap(Unwrap(heap)->types());
}

loam_status loam_heap_set_gc_percent(loam_heap* heap, uint32_t percent) {
  if (heap == nullptr) return NullHeap("loam_heap_set_gc_percent");
  Unwrap(heap)->pacer()->set_gc_percent(percent);
  Unwrap(heap)->TriggerMoved();
  return LOAM_OK;
}

loam_status loam_heap_set_fixed_size(loam_heap* heap, uint64_t bytes) {
  if (heap == nullptr) return NullHeap("loam_heap_set_fixed_size");
  Runtime* runtime = Unwrap(heap);
  if (!runtime->options().pacer.fixed) {
    return WrongState(runtime, "loam_heap_set_fixed_size", "heap",
                      "its policy is growth");
  }
  if (bytes < (1 << 20)) {
    return InvalidArgument(runtime, "loam_heap_set_fixed_size", "bytes",
                           "must be at least 1 MiB");
  }
  runtime->pacer()->set_fixed_bytes(bytes);
  runtime->TriggerMoved();
  runtime->page_heap()->set_max_heap_bytes(bytes);
  return LOAM_OK;
}

loam_status loam_heap_set_heap_limit(loam_heap* heap, uint64_t bytes) {
  if (heap == nullptr) return NullHeap("loam_heap_set_heap_limit");
  Unwrap(heap)->SetHeapLimit(bytes == 0 ? kNoLimit : bytes);
  return LOAM_OK;
}

loam_status loam_heap_set_memory_limit(loam_heap* heap, uint64_t bytes) {
  if (heap == nullptr) return NullHeap("loam_heap_set_memory_limit");
  Unwrap(heap)->SetMemoryLimit(bytes);
  return LOAM_OK;
}

void loam_heap_options_print(loam_heap* heap, FILE* out) {
  RequireNonNull(heap, "loam_heap_options_print", "heap");
  RequireNonNull(out, "loam_heap_options_print", "out");
  RuntimeOptions options = Unwrap(heap)->options();
  options.pacer = Unwrap(heap)->pacer()->options();
  options.memory_limit = options.pacer.memory_limit;
  options.heap_limit = Unwrap(heap)->ledger()->limit();
  options.profile_rate = Unwrap(heap)->sampling_rate()->rate();
  PrintOptions(options, out);
}

const char* loam_heap_last_error(loam_heap* heap) {
  RequireNonNull(heap, "loam_heap_last_error", "heap");
  return Unwrap(heap)->last_error();
}

loam_status loam_collect(loam_mutator* m, loam_collect_kind kind) {
  Mutator* mutator = RequireMutator(m, "loam_collect");
  if (kind != LOAM_COLLECT_FULL) {
    return InvalidArgument(mutator->runtime, "loam_collect", "kind",
                           "does not exist");
  }
  if (mutator->runtime->Collect(mutator, CycleReason::kRequested,
                                /*sweep_all=*/true) ==
      CycleOutcome::kDisabled) {
    return WrongState(mutator->runtime, "loam_collect", "m",
                      "collections are disabled");
  }
  return LOAM_OK;
}

void loam_gc_disable(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_gc_disable");
  mutator->gc_disabled_depth++;
  mutator->runtime->cycle()->Disable();
}

loam_status loam_gc_enable(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_gc_enable");
  if (mutator->gc_disabled_depth == 0) {
    return WrongState(mutator->runtime, "loam_gc_enable", "m",
                      "this mutator has not disabled collections");
  }
  mutator->gc_disabled_depth--;
  mutator->runtime->cycle()->Enable();
  return LOAM_OK;
}

void loam_external_adjust(loam_mutator* m, int64_t bytes) {
  RequireMutator(m, "loam_external_adjust")
      ->runtime->AdjustExternalBytes(bytes);
}

size_t loam_heap_release_memory(loam_heap* heap) {
  RequireNonNull(heap, "loam_heap_release_memory", "heap");
  return Unwrap(heap)->ReleaseMemory();
}

// ---- fork

loam_status loam_fork_prepare(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_fork_prepare");
  if (mutator->fork_prepared) {
    return WrongState(mutator->runtime, "loam_fork_prepare", "m",
                      "has been prepared already");
  }
  mutator->runtime->PrepareFork(mutator);
  return LOAM_OK;
}

void loam_fork_parent(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_fork_parent");
  RequirePrepared(mutator, "loam_fork_parent");
  mutator->runtime->EndForkInParent(mutator);
}

void loam_fork_child(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_fork_child");
  RequirePrepared(mutator, "loam_fork_child");
  mutator->runtime->EndForkInChild(mutator);
}

}  // extern "C"
