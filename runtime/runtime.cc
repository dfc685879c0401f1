#include "runtime/runtime.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <new>

#include "runtime/base/last_error.h"
#include "runtime/checking.h"
#include "runtime/heap/os_memory.h"
#include "runtime/object_allocator.h"

namespace loam {
namespace {

// Free space in caches may always reach this, and this fraction of the trigger.
constexpr uint64_t kMinCachedBytes = 1 << 20;
constexpr uint64_t kCachedFraction = 20;

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
  parts.max_mark_stack_bytes = options.max_mark_stack_bytes;
  parts.verify_marking = options.check.verify_marking ||
                         options.check.check_stores ||
                         options.check.forbid_foreign_references;
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
                 {options.arena_hint, options.check.check_stores}),
      specials_(&persistent_, &page_heap_.arena_map()),
      sweeper_(&page_heap_, &specials_, &counters_, options.check.poison),
      span_source_(&page_heap_, &sweeper_, &counters_),
      roots_(&persistent_),
      pacer_(options.pacer),
      store_shadow_(&page_heap_.arena_map()),
      cycle_(MakeParts(this, options, this, &safepoints_, &NameOfOtherHeap)) {}

Runtime::~Runtime() { types_state_.Release(); }

Status Runtime::Create(const RuntimeOptions& given, Runtime** result,
                       ErrorMessage* message) {
  RuntimeOptions options = given;
  options.memory_limit = ResolveMemoryLimit(options.memory_limit);
  options.pacer.memory_limit = options.memory_limit;
  const uintptr_t memory = os::Allocate(AlignUp(sizeof(Runtime), kOsPageBytes));
  Runtime* runtime = nullptr;
  if (memory != 0) {
    runtime = new (reinterpret_cast<void*>(memory)) Runtime(options);
  }
  if (runtime == nullptr || !runtime->Initialize()) {
    if (runtime != nullptr) {
      ErrorMessage ignored;
      (void)runtime->Destroy(&ignored);
    }
    message->Format(
        "loam_heap_create: no memory for the heap's own records (heap_limit: "
        "%" PRIu64 " bytes)",
        options.heap_limit);
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
  if (options_.pacer.fixed) {
    page_heap_.set_max_span_bytes(options_.pacer.fixed_bytes);
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
  // Acquire pairs with the release at the end of Detach.
  const uint32_t mutators = attached_.load(std::memory_order_acquire);
  if (mutators != 0) {
    message->Format(
        "loam_heap_destroy: heap: '%s' has %u mutator%s attached; detach first",
        options_.name, mutators, mutators == 1 ? "" : "s");
    return Status::kWrongState;
  }
  if (owns_types_ && types_ != nullptr && types_->users() > 1) {
    message->Format(
        "loam_heap_destroy: heap: %u other heaps use the type set of '%s'; "
        "destroy them first",
        types_->users() - 1, options_.name);
    return Status::kWrongState;
  }
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

// ---- Mutators --------------------------------------------------------------

Status Runtime::Attach(const char* name, Mutator** result,
                       ErrorMessage* message) {
  Status status = TryAttach(name, result, message);
  if (status == Status::kOutOfMemory && ReleaseMemory() > 0) {
    status = TryAttach(name, result, message);
  }
  return status;
}

Status Runtime::TryAttach(const char* name, Mutator** result,
                          ErrorMessage* message) {
  if (const Mutator* m = FindInTheWay(nullptr)) {
    message->Format(
        "loam_mutator_attach: heap: this thread has mutator '%s' on heap '%s' "
        "already%s",
        m->name, options_.name,
        m->world_stops == 0 ? "" : ", with the world stopped");
    return Status::kWrongState;
  }
  SparseRegion region;
  if (!region.Reserve(&ledger_, kMutatorRegionBytes) ||
      !region.EnsureCommitted(0, sizeof(Mutator))) {
    region.Release();
    message->Format("loam_mutator_attach: no memory for another mutator");
    return Status::kOutOfMemory;
  }
  auto* m = new (region.base()) Mutator{};
  m->region = region;
  m->runtime = this;
  snprintf(m->name, sizeof(m->name), "%s", name != nullptr ? name : "mutator");
  m->root_stack = &m->roots.own_stack;
  m->first_used = kEndOfUsedList;
  if (options_.check.single_cell_runs()) {
    m->safepoint_word.store(kWordAlways, std::memory_order_relaxed);
  }
  if (options_.check.check_stores) m->barrier_word = kBarrierCheck;
  m->safepoint.word = &m->safepoint_word;
  m->safepoint.name = m->name;
  m->safepoint.owner = m;
  m->safepoint.on_thread_end = &OnThreadEnd;
  StartStress(m);
  if (!StartCheckingStores(m) || !safepoints_.Attach(&m->safepoint)) {
    EndCheckingStores(m);
    region.Release();
    message->Format("loam_mutator_attach: no memory for another mutator");
    return Status::kOutOfMemory;
  }
  attached_.fetch_add(1, std::memory_order_relaxed);
  *result = m;
  return Status::kOk;
}

Status Runtime::Detach(Mutator* m, ErrorMessage* message) {
  // The destructor of a static object may detach after its thread's own end.
  if (m->thread_ended) {
    const Status status = LeaveNative(m, message);
    if (status != Status::kOk) return status;
  }
  const char* problem = nullptr;
  if (m->safepoint.state.load(std::memory_order_relaxed) !=
      MutatorState::kRunning) {
    problem = "is in native state; leave that first";
  } else if (m->gc_disabled_depth != 0) {
    problem = "has collections disabled; enable them first";
  } else if (m->world_stops != 0) {
    problem = "has stopped the world; start it first";
  } else if (m->roots.current_fiber != nullptr) {
    problem = "runs on a fiber; switch to its own stack first";
  }
  if (problem != nullptr) {
    message->Format("loam_mutator_detach: m: mutator '%s' %s", m->name,
                    problem);
    return Status::kWrongState;
  }
  EndFreshObjects(m);
  FlushCursorsOf(m);
  ReleaseCachesOf(m, CountTypes::kNo);
  roots_.ReleaseMutator(&m->roots);
  safepoints_.Detach(&m->safepoint);
  DestroyMutator(m);
  // Last: from here on another thread may destroy the heap.
  attached_.fetch_sub(1, std::memory_order_release);
  return Status::kOk;
}

void Runtime::DestroyMutator(Mutator* m) {
  EndCheckingStores(m);
  SparseRegion region = m->region;
  region.Release();
}

// A thread has ended without detaching, or the process is exiting. Nothing may
// wait for the mutator any more, and the frames on its stack are gone.
void Runtime::OnThreadEnd(SafepointState* state) {
  Mutator* m = MutatorOf(state);
  Runtime* runtime = m->runtime;
  if (runtime->options_.check.check_threads) {
    const ScopedFatalContext context(&runtime->fatal_context_);
    FatalMisuse(
        "a thread ended while its mutator '%s' was attached and running; call "
        "loam_mutator_detach, or loam_enter_native to hand it over",
        m->name);
  }
  m->root_stack->frames = nullptr;
  m->roots.own_stack.frames = nullptr;
  for (; m->gc_disabled_depth > 0; m->gc_disabled_depth--) {
    runtime->cycle_.Enable();
  }
  while (m->world_stops > 0) runtime->StartTheWorld(m);
  m->thread_ended = true;
  runtime->EnterNative(m);
}

Mutator* Runtime::Current() {
  ThreadContext* context = ThreadContext::CurrentIfAny();
  SafepointState* state =
      context == nullptr ? nullptr : context->Find(&safepoints_);
  return state == nullptr ? nullptr : MutatorOf(state);
}

// A mutator other than `m` that keeps the calling thread from running with `m`:
// one that it runs with already, or one with which it holds the world stopped.
const Mutator* Runtime::FindInTheWay(const Mutator* m) {
  const Mutator* found = nullptr;
  ThreadContext* context = ThreadContext::CurrentIfAny();
  if (context == nullptr) return nullptr;
  context->ForEach([&](SafepointState* state) {
    if (state->safepoints != &safepoints_) return;
    const Mutator* other = MutatorOf(state);
    if (other == m) return;
    // Whoever takes it over unlinks it first, so its fields stand still.
    const bool native =
        state->state.load(std::memory_order_relaxed) == MutatorState::kNative;
    if (!native || other->world_stops != 0) found = other;
  });
  return found;
}

void Runtime::Safepoint(Mutator* m) {
  EndFreshObjects(m);
  Safepoints::Poll(&m->safepoint);
}

void Runtime::EnterNative(Mutator* m) {
  EndFreshObjects(m);
  if (m->safepoint.native_depth++ == 0) Safepoints::EnterNative(&m->safepoint);
}

Status Runtime::LeaveNative(Mutator* m, ErrorMessage* message) {
  if (m->safepoint.native_depth == 0) {
    message->Format("loam_leave_native: m: mutator '%s' is not in native state",
                    m->name);
    return Status::kWrongState;
  }
  const Mutator* in_the_way =
      m->safepoint.native_depth == 1 ? FindInTheWay(m) : nullptr;
  if (in_the_way != nullptr) {
    message->Format(
        "loam_leave_native: m: this thread has mutator '%s' on the heap "
        "already%s, it cannot take over '%s'",
        in_the_way->name,
        in_the_way->world_stops == 0 ? "" : ", with the world stopped",
        m->name);
    return Status::kWrongState;
  }
  if (--m->safepoint.native_depth > 0) return Status::kOk;
  if (!Safepoints::LeaveNative(&m->safepoint)) {
    m->safepoint.native_depth++;
    message->Format("loam_leave_native: no memory for this thread's record");
    return Status::kOutOfMemory;
  }
  m->thread_ended = false;
  return Status::kOk;
}

void Runtime::StopTheWorld(Mutator* m) {
  EndFreshObjects(m);
  // The stopper itself goes on running, and so do this thread's other mutators.
  // If the heap of one of these is stopped, its stopper may be waiting for this
  // one: step back, let it finish, and try again.
  for (;;) {
    safepoints_.StopTheWorld(&m->safepoint, nullptr, nullptr);
    if (Safepoints::TryResumeSelf(&m->safepoint)) break;
    safepoints_.StartTheWorld();
    Safepoints::ResumeSelf(&m->safepoint);
  }
  m->world_stops++;
}

void Runtime::StartTheWorld(Mutator* m) {
  m->world_stops--;
  safepoints_.StartTheWorld();
}

// What threads that are native or not attached may be changing is held across
// the fork, so that the child finds it whole.
void Runtime::LockForFork() {
  roots_.LockForFork();
  types_->LockForFork();
  page_heap_.LockForFork();
  persistent_.LockForFork();
  cycle_.LockForFork();
  ledger_.LockForFork();
}

void Runtime::UnlockAfterFork() {
  ledger_.UnlockAfterFork();
  cycle_.UnlockAfterFork();
  persistent_.UnlockAfterFork();
  page_heap_.UnlockAfterFork();
  types_->UnlockAfterFork();
  roots_.UnlockAfterFork();
}

void Runtime::ResetAfterFork(Mutator* m) {
  specials_.ResetAfterFork();
  sweeper_.ResetAfterFork();
  error_mutex_.ResetAfterFork();
  ThreadContext::CurrentIfAny()->ResetAfterFork();
  safepoints_.ResetAfterFork(&m->safepoint, [this](SafepointState* state) {
    Mutator* gone = MutatorOf(state);
    for (; gone->gc_disabled_depth > 0; gone->gc_disabled_depth--) {
      cycle_.Enable();
    }
    FlushCursorsOf(gone);
    ReleaseCachesOf(gone, CountTypes::kNo);
    roots_.ReleaseMutator(&gone->roots);
    DestroyMutator(gone);
    attached_.fetch_sub(1, std::memory_order_release);
  });
}

// ---- Collecting ------------------------------------------------------------

bool Runtime::Collect(Mutator* m, CycleReason reason, bool sweep_all) {
  const ScopedFatalContext context(&fatal_context_);
  EndFreshObjects(m);
  return cycle_.Collect(&m->safepoint, reason, sweep_all);
}

uint64_t Runtime::CachedBytesBound() const {
  return std::max(kMinCachedBytes, pacer_.trigger() / kCachedFraction);
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
    cached = {};
  }
}

void Runtime::VisitMutators(Tracer* tracer) {
  safepoints_.ForEachMutator([&](SafepointState* state) {
    roots_.VisitMutatorRoots(MutatorOf(state)->roots, tracer);
  });
}

void Runtime::CycleBegins(const CycleInfo& info) {
  const Callbacks& callbacks = options_.callbacks;
  if (callbacks.cycle_begin != nullptr) {
    callbacks.cycle_begin(this, info);
  }
}

void Runtime::CycleEnds(const CycleInfo& info) {
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
  PrintRaw("loam: heap '%s': cycle %" PRIu64
           ", phase %u, sweep generation %u\n"
           "loam:   committed %" PRIu64 " bytes, metadata %" PRIu64
           ", limit %" PRIu64
           "\n"
           "loam:   live estimate %" PRIu64 ", trigger %" PRIu64
           ", last marked %" PRIu64
           " bytes\n"
           "loam:   %u mutators, %" PRIu64 " finalizers set\n",
           options_.name, cycle_.cycles(),
           static_cast<unsigned>(cycle_.phase()), sweeper_.generation(),
           ledger_.committed(), ledger_.metadata(), ledger_.limit(),
           counters_.live_estimate.Get(), pacer_.trigger(),
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
