#include "runtime/runtime.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <new>

#include "runtime/base/clock.h"
#include "runtime/base/last_error.h"
#include "runtime/cell_run.h"
#include "runtime/cgroup.h"
#include "runtime/checking.h"
#include "runtime/heap/os_memory.h"
#include "runtime/trace.h"

namespace loam {
namespace {

// Free space in caches may always reach this, and this fraction of the trigger.
constexpr uint64_t kMinCachedBytes = 1 << 20;
constexpr uint64_t kCachedFraction = 20;

// Between two collections for the sake of the memory limit at least this
// fraction of it is allocated. When nothing more dies than that, it is
// exceeded.
constexpr uint64_t kMemoryLimitRunway = 32;

// The limit itself, or nine tenths of the control group's if it is
// kMemoryLimitFromCgroup: not all of the container is ours.
uint64_t ResolveMemoryLimit(const RuntimeOptions& options, uint64_t bytes) {
  if (bytes != kMemoryLimitFromCgroup) return bytes;
  const uint64_t limit = ReadCgroupMemoryLimit(options.cgroup_root);
  return limit == kNoLimit ? kNoLimit : limit - limit / 10;
}

// Up to where pages are committed: metadata, and what else the process has, go
// on growing for a moment.
uint64_t SoftLimitOfPages(uint64_t memory_limit) {
  return memory_limit == kNoLimit ? kNoLimit : memory_limit - memory_limit / 32;
}

CycleParts MakeParts(CycleHost* host, const RuntimeOptions& options,
                     Runtime* runtime, Safepoints* safepoints,
                     const char* (*other_heap)(void*, uintptr_t)) {
  CycleParts parts = {};
  parts.host = host;
  parts.page_heap = runtime->page_heap();
  parts.ledger = runtime->ledger();
  parts.counters = runtime->counters();
  parts.specials = runtime->specials();
  parts.sweeper = runtime->sweeper();
  parts.roots = runtime->roots();
  parts.safepoints = safepoints;
  parts.pacer = runtime->pacer();
  parts.encoding = options.encoding;
  parts.weak_cleared_word = options.weak_cleared_word;
  parts.fatal_context = runtime->fatal_context();
  parts.max_mark_stack_bytes = options.max_mark_stack_bytes;
  parts.platform = options.platform;
  parts.verify_marking = options.check.verify_marking;
  parts.verifier.forbid_foreign = options.check.forbid_foreign_references;
  parts.verifier.check_stores = options.check.check_stores;
  parts.verifier.other_heap = other_heap;
  parts.verifier.other_heap_data = runtime;
  return parts;
}

}  // namespace

Runtime::Runtime(const RuntimeOptions& options)
    : options_(options),
      types_(options.types),
      owns_types_(options.types == nullptr),
      sampling_rate_(options.profile_rate),
      fatal_context_{
          [](void* data) { static_cast<Runtime*>(data)->PrintState(); },
          [](void* data, const char* message) {
            auto* runtime = static_cast<Runtime*>(data);
            const Callbacks& callbacks = runtime->options_.callbacks;
            if (callbacks.fatal != nullptr) {
              callbacks.fatal(runtime, message);
            }
          },
          this},
      persistent_(&ledger_),
      page_heap_(&ledger_, &persistent_,
                 {.arena_hint = options.arena_hint,
                  .store_shadow = options.check.check_stores,
                  .huge_pages = options.huge_pages,
                  .randomize_base = options.randomize_base}),
      specials_(&persistent_, &page_heap_),
      sweeper_(&page_heap_, &specials_, &counters_, options.check.poison),
      span_source_(&page_heap_, &sweeper_, &counters_),
      roots_(&persistent_, this),
      pacer_(options.pacer),
      store_shadow_(&page_heap_.arena_map()),
      finalizer_runner_(this),
      cycle_(MakeParts(this, options, this, &safepoints_, &NameOfOtherHeap)),
      background_sweeper_(&sweeper_, &page_heap_),
      scavenger_(options.retain_percent, &page_heap_, &counters_, &pacer_),
      background_(options.background, options.platform, &fatal_context_) {
  background_.Add(&background_sweeper_);
  background_.Add(&scavenger_);
  if ((options.trace & kTraceScavenge) != 0) {
    scavenger_.set_report(
        [](void* data, const char* line) {
          static_cast<Runtime*>(data)->Log(line);
        },
        this);
  }
}

Runtime::~Runtime() { types_state_.Release(); }

Status Runtime::Create(const RuntimeOptions& given, Runtime** result,
                       ErrorMessage* message) {
  RuntimeOptions options = given;
  options.memory_limit = ResolveMemoryLimit(options, options.memory_limit);
  options.pacer.memory_limit = options.memory_limit;
  const OsFacts facts = options.os_facts != nullptr ? *options.os_facts
                                                    : AskOs(options.huge_pages);
  char problem[256];
  if (!SelfCheck(facts, problem, sizeof(problem))) {
    message->Format("loam_heap_create: %s", problem);
    return Status::kNotSupported;
  }
  const uintptr_t memory = os::Allocate(AlignUp(sizeof(Runtime), kOsPageBytes));
  Runtime* runtime = nullptr;
  if (memory != 0) {
    runtime = new (reinterpret_cast<void*>(memory)) Runtime(options);
  }
  if (runtime == nullptr || !runtime->Initialize()) {
    if (runtime != nullptr) {
      runtime->options_.finalize_at_destroy = false;  // nothing is there
      ErrorMessage ignored;
      (void)runtime->Destroy(&ignored);
    }
    message->Format(
        "loam_heap_create: no memory for the heap's own records (heap_limit: "
        "%" PRIu64 " bytes)",
        options.heap_limit);
    return Status::kOutOfMemory;
  }
  if (!runtime->cycle_.StartWorkers(options.workers)) {
    ErrorMessage ignored;
    (void)runtime->Destroy(&ignored);
    message->Format(
        "loam_heap_create: options.workers: could not start %u threads",
        options.workers);
    return Status::kOutOfMemory;
  }
  ReportUnknownVariables(
      [](void* data, const char* line) {
        static_cast<Runtime*>(data)->Log(line);
      },
      runtime);
  *result = runtime;
  return Status::kOk;
}

bool Runtime::Initialize() {
  ledger_.set_limit(options_.heap_limit);
  ledger_.set_soft_limit(SoftLimitOfPages(options_.memory_limit));
  if (options_.pacer.fixed) {
    page_heap_.set_max_heap_bytes(options_.pacer.fixed_bytes);
  }
  if (owns_types_) {
    types_ = TypeSet::Create(kFirstTypeCursorOffset, sizeof(AllocationCursor));
    if (types_ == nullptr) return false;
  }
  types_->AddUser();
  return ledger_.TryCharge(MemoryLedger::Use::kMetadata,
                           AlignUp(sizeof(Runtime), kOsPageBytes)) &&
         types_state_.Reserve(&ledger_, kMaxTypes) && page_heap_.Initialize();
}

Status Runtime::Destroy(ErrorMessage* message) {
  if (owns_types_ && types_ != nullptr && types_->users() > 1) {
    message->Format(
        "loam_heap_destroy: heap: %u other heaps use the type set of '%s'; "
        "destroy them first",
        types_->users() - 1, options_.name);
    return Status::kWrongState;
  }
  ErrorMessage ignored;
  const bool has_runner = StopFinalizerRunner(&ignored) == Status::kOk;
  // Acquire pairs with the release at the end of Detach.
  const uint32_t mutators = attached_.load(std::memory_order_acquire);
  if (mutators != 0) {
    if (has_runner) (void)StartFinalizerRunner(&ignored);
    message->Format(
        "loam_heap_destroy: heap: '%s' has %u mutator%s attached; detach first",
        options_.name, mutators, mutators == 1 ? "" : "s");
    return Status::kWrongState;
  }
  if (options_.finalize_at_destroy && types_ != nullptr) FinalizeAll();
  // Nothing sweeps in the background while spans are looked through.
  sweeper_.SweepAllAndWait();
  specials_.DisposeAll();
  TypeSet* types = types_;
  const bool owns_types = owns_types_;
  this->~Runtime();
  os::Release(reinterpret_cast<uintptr_t>(this),
              AlignUp(sizeof(Runtime), kOsPageBytes));
  if (types != nullptr) {
    types->RemoveUser();
    if (owns_types) return types->Destroy(message);
  }
  return Status::kOk;
}

// ---- Collecting ------------------------------------------------------------

CycleOutcome Runtime::Collect(Mutator* m, CycleReason reason, bool sweep_all,
                              uint64_t only_after) {
  const ScopedFatalContext context(&fatal_context_);
  EndFreshObjects(m);
  const CycleOutcome outcome =
      cycle_.Collect(&m->safepoint, reason, sweep_all, only_after);
  if (outcome == CycleOutcome::kRan) WakeBackground();
  return outcome;
}

void Runtime::WakeBackground() {
  if (!background_.enabled()) return;
  const uint64_t sweep_ns = background_sweeper_.TimeToBegin();
  if (sweep_ns != BackgroundJob::kParked) {
    background_.WakeIfParked(&background_sweeper_, sweep_ns);
  }
  if (scavenger_.CollectionEnded()) {
    background_.WakeIfParked(&scavenger_, NowNanoseconds());
  }
}

uint64_t Runtime::CachedBytesBound() const {
  return std::max(kMinCachedBytes, pacer_.trigger() / kCachedFraction);
}

bool Runtime::MayCollectForMemoryLimit() const {
  const uint64_t live = counters_.live_estimate.Get();
  const uint64_t marked = counters_.marked_bytes.Get();
  return live > marked &&
         live - marked >= ledger_.soft_limit() / kMemoryLimitRunway;
}

void Runtime::SetMemoryLimit(uint64_t bytes) {
  bytes = ResolveMemoryLimit(options_, bytes);
  pacer_.set_memory_limit(bytes);
  ledger_.set_soft_limit(SoftLimitOfPages(bytes));
  TriggerMoved();
  page_heap_.ReleaseExcess();
}

void Runtime::SetHeapLimit(uint64_t bytes) {
  ledger_.set_limit(bytes);
  page_heap_.ReleaseExcess();
}

void Runtime::AdjustExternalBytes(int64_t bytes) {
  if (bytes >= 0) {
    counters_.external_bytes.Add(static_cast<uint64_t>(bytes));
    return;
  }
  counters_.external_bytes.SubtractDownToZero(uint64_t{0} -
                                              static_cast<uint64_t>(bytes));
}

// ---- What a cycle asks for: the world is stopped ---------------------------

void Runtime::FlushCursors() {
  safepoints_.ForEachMutator([](SafepointState* state) {
    Mutator* m = MutatorOf(state);
    EndFreshObjects(m);
    FlushCursorsOf(m);
  });
}

void Runtime::ResolveSamples() {
  safepoints_.ForEachMutator(
      [](SafepointState* state) { ResolveYoungSamples(MutatorOf(state)); });
}

void Runtime::ReleaseCaches() {
  safepoints_.ForEachMutator([this](SafepointState* state) {
    ReleaseCachesOf(MutatorOf(state), CountTypes::kYes);
  });
  DecideTypedSpans();
}

void Runtime::ReleaseCachesOf(Mutator* m, CountTypes count_types) {
  uint32_t next = m->first_used;
  m->first_used = kEndOfUsedList;
  while (next != kEndOfUsedList) {
    const SpanClass span_class = next - 1;
    CachedSpan& cached = m->cached(span_class);
    next = cached.next_used;
    if (count_types == CountTypes::kYes) {
      AddTypeBytes(span_class, cached.type_bytes);
    }
    if (cached.span != nullptr) {
      counters_.cached_span_bytes.Subtract(cached.span->bytes());
      span_source_.Release(cached.span);
    }
    const SamplingCountdown sampling = cached.sampling;
    cached = {};
    cached.sampling = sampling;
  }
  page_heap_.ReturnCache(&m->heap_cache);
}

void Runtime::VisitMutators(Tracer* tracer) {
  safepoints_.ForEachMutator([&](SafepointState* state) {
    const Mutator* m = MutatorOf(state);
    tracer->EnterThread(m->name);
    roots_.VisitMutatorRoots(m->roots, tracer);
  });
  tracer->EnterThread(nullptr);
}

void Runtime::CycleBegins(const CycleInfo& info) {
  const Callbacks& callbacks = options_.callbacks;
  if (callbacks.cycle_begin != nullptr) {
    callbacks.cycle_begin(this, info);
  }
}

void Runtime::CycleEnds(const CycleInfo& info) {
  specials_.heap_profile()->BeginSweeping();
  page_heap_.set_retained_bytes(scavenger_.RetainedForTrigger());
  if ((options_.trace & kTraceGc) != 0) {
    char line[kTraceLineBytes];
    FormatCycle(info, ledger_.committed(), line);
    Log(line);
  }
  const Callbacks& callbacks = options_.callbacks;
  if (callbacks.cycle_end != nullptr) {
    callbacks.cycle_end(this, info);
  }
}

// ---- Messages --------------------------------------------------------------

void Runtime::Log(const char* line) {
  const Callbacks& callbacks = options_.callbacks;
  if (callbacks.log != nullptr) {
    callbacks.log(this, line);
  } else {
    PrintRaw("loam: heap '%s': %s\n", options_.name, line);
  }
}

void Runtime::RememberError(Status status, const ErrorMessage& message) {
  SetLastError(message);
  {
    MutexLock lock(&error_mutex_);
    last_error_ = message;
  }
  if (options_.check.abort_on_misuse &&
      (status == Status::kInvalidArgument || status == Status::kWrongState)) {
    const ScopedFatalContext context(&fatal_context_);
    FatalMisuse("%s", message.text);
  }
}

void Runtime::PrintState() {
  char limit[24] = "none";
  if (ledger_.limit() != kNoLimit) {
    snprintf(limit, sizeof(limit), "%" PRIu64, ledger_.limit());
  }
  PrintRaw("loam: heap '%s': cycle %" PRIu64
           ", %s, sweep generation %u\n"
           "loam:   committed %" PRIu64 " bytes, metadata %" PRIu64
           ", limit %s\n"
           "loam:   live estimate %" PRIu64 ", trigger %" PRIu64
           ", last marked %" PRIu64
           " bytes\n"
           "loam:   mutators %u, finalizers set %" PRIu64 "\n",
           options_.name, cycle_.cycles(), GcPhaseName(cycle_.phase()),
           sweeper_.generation(), ledger_.committed(), ledger_.metadata(),
           limit, counters_.live_estimate.Get(), pacer_.trigger(),
           counters_.marked_bytes.Get(), safepoints_.mutator_count(),
           specials_.finalizers_set());
}

// A heap that this thread also runs in, if the address is in it.
const char* Runtime::NameOfOtherHeap(void* data, uintptr_t address) {
  ThreadContext* context = ThreadContext::CurrentIfAny();
  if (context == nullptr) return nullptr;
  const char* name = nullptr;
  context->ForEach([&](SafepointState* state) {
    Runtime* other = MutatorOf(state)->runtime;
    if (other != data && other->page_heap_.FindSpan(address) != nullptr) {
      name = other->options_.name;
    }
  });
  return name;
}

}  // namespace loam
