// Specials of objects, as the interface has them: finds the object, makes sure
// that its span is swept, and says what is wrong.

#include <new>

#include "runtime/quick_allocation.h"
#include "runtime/runtime.h"

namespace loam {

namespace {

// Once more if free pages that go back to the OS make room for a record.
template <typename Attempt>
Status WithRecord(Runtime* runtime, Attempt&& attempt) {
  const Status status = attempt();
  return status == Status::kOutOfMemory && runtime->ReleaseMemory() > 0
             ? attempt()
             : status;
}

// Objects that share a cell are told apart by their addresses: nobody but the
// embedder knows where they begin.
bool MayBeShared(const Span& span) {
  return span.kind == SpanKind::kNoscan && span.cell_bytes == kTinyCellBytes;
}

Status NoMemory(const char* call, ErrorMessage* message) {
  message->Format("%s: no memory for the record", call);
  return Status::kOutOfMemory;
}

}  // namespace

Status Runtime::FindForSpecials(const char* call, void* object, Span** span,
                                uintptr_t* address, ErrorMessage* message) {
  const auto given = reinterpret_cast<uintptr_t>(object);
  if (!FindObject(given, span, address)) {
    message->Format("%s: object: no object lives at %p", call, object);
    return Status::kInvalidArgument;
  }
  if (MayBeShared(**span)) *address = given;
  // The sweeper of this span may be deciding what the specials of its dead
  // objects mean: ours must not join them before it is done.
  sweeper_.EnsureSwept(*span);
  return Status::kOk;
}

// The object may have died, its span been freed, and its pages be another
// span's by now. No generation begins before this thread's next safepoint: so
// the span found was in use in this one, and once its sweepgen says that it has
// been swept in this generation, that stays so, whatever the record is used for
// meanwhile. Whatever its sweeper has done to the object's specials, this
// thread sees.
Span* Runtime::FindSwept(uintptr_t address) {
  Span* span = page_heap_.FindSpan(address);
  if (span != nullptr) sweeper_.EnsureSwept(span);
  return span;
}

// ---- Finalizers

Status Runtime::SetFinalizer(void* object, const FinalizerInfo& info,
                             ErrorMessage* message) {
  constexpr char kCall[] = "loam_finalizer_set";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t address;
  Status status = FindForSpecials(kCall, object, &span, &address, message);
  if (status != Status::kOk) return status;
  status = WithRecord(
      this, [&] { return specials_.SetFinalizer(span, address, info); });
  if (status == Status::kOk) counters_.finalizable_bytes.Add(span->cell_bytes);
  if (status == Status::kWrongState) {
    message->Format("%s: object: %p has a finalizer already", kCall, object);
  }
  return status == Status::kOutOfMemory ? NoMemory(kCall, message) : status;
}

Status Runtime::ClearFinalizer(void* object, ErrorMessage* message) {
  constexpr char kCall[] = "loam_finalizer_clear";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t address;
  Status status = FindForSpecials(kCall, object, &span, &address, message);
  if (status != Status::kOk) return status;
  status = specials_.ClearFinalizer(span, address);
  if (status == Status::kOk) {
    // Down to zero: it may have been set before the last cycle.
    counters_.finalizable_bytes.SubtractDownToZero(span->cell_bytes);
  } else {
    message->Format("%s: object: %p has no finalizer, or it is queued already",
                    kCall, object);
  }
  return status;
}

// ---- Pins

Status Runtime::Pin(void* object, ErrorMessage* message) {
  constexpr char kCall[] = "loam_pin";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t address;
  Status status = FindForSpecials(kCall, object, &span, &address, message);
  if (status != Status::kOk) return status;
  // Objects that share a cell share their pins.
  const uintptr_t cell = span->CellAddress(span->CellIndex(address));
  status = WithRecord(this, [&] { return specials_.Pin(span, cell); });
  return status == Status::kOutOfMemory ? NoMemory(kCall, message) : status;
}

Status Runtime::Unpin(void* object, ErrorMessage* message) {
  constexpr char kCall[] = "loam_unpin";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t address;
  Status status = FindForSpecials(kCall, object, &span, &address, message);
  if (status != Status::kOk) return status;
  status = specials_.Unpin(span, span->CellAddress(span->CellIndex(address)));
  if (status == Status::kNotFound) {
    message->Format("%s: object: %p is not pinned", kCall, object);
  }
  return status;
}

// ---- Cleanups

Status Runtime::AddCleanup(void* object, const CleanupInfo& info,
                           CleanupName* name, ErrorMessage* message) {
  constexpr char kCall[] = "loam_cleanup_add";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  Status status =
      FindForSpecials(kCall, object, &span, &name->address, message);
  if (status != Status::kOk) return status;
  status = WithRecord(this, [&] {
    return specials_.AddCleanup(span, name->address, info, &name->serial);
  });
  return status == Status::kOutOfMemory ? NoMemory(kCall, message) : status;
}

Status Runtime::StopCleanup(const CleanupName& name, ErrorMessage* message) {
  const ScopedFatalContext context(&fatal_context_);
  Span* span = FindSwept(name.address);
  const Status status = span == nullptr ? Status::kNotFound
                                        : specials_.RemoveCleanup(
                                              span, name.address, name.serial);
  if (status != Status::kOk) {
    message->Format(
        "loam_cleanup_stop: cleanup: it has run, or waits for being run, or "
        "was stopped before");
  }
  return status;
}

// ---- Words of the embedder's

EmbedderKind* Runtime::NewEmbedderKind(void (*died)(loam_mutator* m,
                                                    uintptr_t word, void* data),
                                       void* data) {
  void* memory =
      persistent_.Allocate(sizeof(EmbedderKind), alignof(EmbedderKind));
  if (memory == nullptr) return nullptr;
  return new (memory) EmbedderKind{died, data, this};
}

Status Runtime::SetWord(void* object, const EmbedderKind* kind, uintptr_t word,
                        ErrorMessage* message) {
  constexpr char kCall[] = "loam_special_set";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t address;
  Status status = FindForSpecials(kCall, object, &span, &address, message);
  if (status != Status::kOk) return status;
  status = WithRecord(
      this, [&] { return specials_.SetWord(span, address, kind, word); });
  return status == Status::kOutOfMemory ? NoMemory(kCall, message) : status;
}

Status Runtime::GetWord(void* object, const EmbedderKind* kind, uintptr_t* word,
                        ErrorMessage* message) {
  constexpr char kCall[] = "loam_special_get";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t address;
  Status status = FindForSpecials(kCall, object, &span, &address, message);
  if (status != Status::kOk) return status;
  status = specials_.GetWord(span, address, kind, word);
  if (status == Status::kNotFound) {
    message->Format("%s: object: %p has no word of this kind", kCall, object);
  }
  return status;
}

Status Runtime::RemoveWord(void* object, const EmbedderKind* kind,
                           uintptr_t* word, ErrorMessage* message) {
  constexpr char kCall[] = "loam_special_remove";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t address;
  Status status = FindForSpecials(kCall, object, &span, &address, message);
  if (status != Status::kOk) return status;
  status = specials_.RemoveWord(span, address, kind, word);
  if (status == Status::kNotFound) {
    message->Format("%s: object: %p has no word of this kind", kCall, object);
  }
  return status;
}

// ---- Weak handles and watches

Status Runtime::TakeWeakHandle(void* object, bool is_long, WeakHandle** handle,
                               ErrorMessage* message) {
  constexpr char kCall[] = "loam_weak_handle_create";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t ignored;
  Status status = FindForSpecials(kCall, object, &span, &ignored, message);
  if (status != Status::kOk) return status;
  status = WithRecord(this, [&] {
    return specials_.TakeWeakHandle(span, reinterpret_cast<uintptr_t>(object),
                                    is_long, this, handle);
  });
  return status == Status::kOutOfMemory ? NoMemory(kCall, message) : status;
}

Status Runtime::Watch(void* object, WeakHandle** watch, ErrorMessage* message) {
  constexpr char kCall[] = "loam_watch_create";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t address;
  Status status = FindForSpecials(kCall, object, &span, &address, message);
  if (status != Status::kOk) return status;
  status = WithRecord(
      this, [&] { return specials_.Watch(span, address, this, watch); });
  return status == Status::kOutOfMemory ? NoMemory(kCall, message) : status;
}

// The second load is the point: the object may be dead and not swept yet. Once
// its span is swept, what the handle says is true until the next generation.
uintptr_t Runtime::LoadWeakHandle(const WeakHandle& handle) {
  const uintptr_t address = handle.address.load(std::memory_order_acquire);
  if (address == 0) return 0;
  FindSwept(address);
  return handle.address.load(std::memory_order_acquire);
}

void Runtime::GiveWeakHandle(WeakHandle* handle) {
  const uintptr_t address = LoadWeakHandle(*handle);
  specials_.GiveWeakHandle(
      address == 0 ? nullptr : page_heap_.FindSpan(address), handle);
}

void Runtime::GiveWatch(WeakHandle* watch) {
  const uintptr_t address = LoadWeakHandle(*watch);
  specials_.GiveWatch(address == 0 ? nullptr : page_heap_.FindSpan(address),
                      watch);
}

}  // namespace loam
