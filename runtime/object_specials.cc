// Specials of objects, as the interface has them: finds the object, makes sure
// that its span is swept, and says what is wrong.

#include <new>

#include "runtime/quick_allocation.h"
#include "runtime/runtime.h"

namespace loam {
namespace {

// Objects that share a cell are told apart by their addresses: nobody but the
// embedder knows where they begin.
bool MayBeShared(const Span& span) {
  return span.kind == SpanKind::kNoscan && span.cell_bytes == kTinyCellBytes;
}

}  // namespace

// Swept first: the sweeper of this span may be deciding what the specials of
// its dead objects mean, and ours must not join them before it is done. And an
// object that died in the last cycle is found until it is swept.
template <typename Act>
Status Runtime::OnSpecials(const char* call, void* object,
                           ErrorMessage* message, Act&& act) {
  const ScopedFatalContext context(&fatal_context_);
  const auto given = reinterpret_cast<uintptr_t>(object);
  FindSwept(given);
  Span* span;
  uintptr_t address;
  if (!FindObject(given, &span, &address)) {
    message->Format("%s: object: no object lives at %p", call, object);
    return Status::kInvalidArgument;
  }
  if (MayBeShared(*span)) address = given;
  const Status status = WithFreePages([&] { return act(span, address); });
  if (status == Status::kOutOfMemory) {
    message->Format("%s: no memory for the record", call);
  }
  return status;
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
  const Status status =
      OnSpecials(kCall, object, message, [&](Span* span, uintptr_t address) {
        const Status set = specials_.SetFinalizer(span, address, info);
        if (set == Status::kOk) {
          counters_.finalizable_bytes.Add(span->cell_bytes);
        }
        return set;
      });
  if (status == Status::kWrongState) {
    message->Format("%s: object: %p has a finalizer already", kCall, object);
  }
  return status;
}

Status Runtime::ClearFinalizer(void* object, ErrorMessage* message) {
  constexpr char kCall[] = "loam_finalizer_clear";
  const Status status =
      OnSpecials(kCall, object, message, [&](Span* span, uintptr_t address) {
        const Status cleared = specials_.ClearFinalizer(span, address);
        if (cleared == Status::kOk) {
          // Down to zero: it may have been set before the last cycle.
          counters_.finalizable_bytes.SubtractDownToZero(span->cell_bytes);
        }
        return cleared;
      });
  if (status == Status::kNotFound) {
    message->Format("%s: object: %p has no finalizer, or it is queued already",
                    kCall, object);
  }
  return status;
}

// ---- Pins. Objects that share a cell share their pins.

Status Runtime::Pin(void* object, ErrorMessage* message) {
  return OnSpecials("loam_pin", object, message,
                    [&](Span* span, uintptr_t address) {
                      return specials_.Pin(span, span->CellOf(address));
                    });
}

Status Runtime::Unpin(void* object, ErrorMessage* message) {
  constexpr char kCall[] = "loam_unpin";
  const Status status =
      OnSpecials(kCall, object, message, [&](Span* span, uintptr_t address) {
        return specials_.Unpin(span, span->CellOf(address));
      });
  if (status == Status::kNotFound) {
    message->Format("%s: object: %p is not pinned", kCall, object);
  }
  return status;
}

// ---- Cleanups

Status Runtime::AddCleanup(void* object, const CleanupInfo& info,
                           CleanupName* name, ErrorMessage* message) {
  return OnSpecials(
      "loam_cleanup_add", object, message, [&](Span* span, uintptr_t address) {
        name->address = address;
        return specials_.AddCleanup(span, address, info, &name->serial);
      });
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

// ---- Words of the embedder's. Looking for one that is not there is no
// mistake, and has no message.

EmbedderKind* Runtime::NewEmbedderKind(void (*died)(loam_mutator* m,
                                                    uintptr_t word, void* data),
                                       void* data) {
  void* memory = WithFreePages([&] {
    return persistent_.Allocate(sizeof(EmbedderKind), alignof(EmbedderKind));
  });
  if (memory == nullptr) return nullptr;
  return new (memory) EmbedderKind{died, data, this};
}

Status Runtime::SetWord(void* object, const EmbedderKind* kind, uintptr_t word,
                        ErrorMessage* message) {
  return OnSpecials("loam_special_set", object, message,
                    [&](Span* span, uintptr_t address) {
                      return specials_.SetWord(span, address, kind, word);
                    });
}

Status Runtime::GetWord(void* object, const EmbedderKind* kind, uintptr_t* word,
                        ErrorMessage* message) {
  return OnSpecials("loam_special_get", object, message,
                    [&](Span* span, uintptr_t address) {
                      return specials_.GetWord(span, address, kind, word);
                    });
}

Status Runtime::RemoveWord(void* object, const EmbedderKind* kind,
                           uintptr_t* word, ErrorMessage* message) {
  return OnSpecials("loam_special_remove", object, message,
                    [&](Span* span, uintptr_t address) {
                      return specials_.RemoveWord(span, address, kind, word);
                    });
}

// ---- Weak handles and watches

Status Runtime::TakeWeakHandle(void* object, bool is_long, WeakHandle** handle,
                               ErrorMessage* message) {
  return OnSpecials(
      "loam_weak_handle_create", object, message, [&](Span* span, uintptr_t) {
        return specials_.TakeWeakHandle(
            span, reinterpret_cast<uintptr_t>(object), is_long, this, handle);
      });
}

Status Runtime::Watch(void* object, WeakHandle** watch, ErrorMessage* message) {
  return OnSpecials("loam_watch_create", object, message,
                    [&](Span* span, uintptr_t address) {
                      return specials_.Watch(span, address, this, watch);
                    });
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
