// Pages without objects.

#include <algorithm>

#include "api/internal.h"

using namespace loam;  // NOLINT: the functions below are the C API itself.

namespace {

// More cannot be had, and rounding it up cannot overflow.
constexpr size_t kMaxBytes = size_t{1} << 44;

}  // namespace

extern "C" {

loam_status loam_pages_allocate(loam_heap* heap, size_t bytes, size_t alignment,
                                void** pages) {
  constexpr char kCall[] = "loam_pages_allocate";
  // Equal, but where arenas are made small for tests.
  static_assert(LOAM_PAGES_ALIGNMENT_MAX >= kArenaBytes);
  if (heap == nullptr || pages == nullptr) {
    return InvalidArgument(Unwrap(heap), kCall,
                           heap == nullptr ? "heap" : "pages", "is NULL");
  }
  Runtime* runtime = Unwrap(heap);
  if (bytes == 0) return InvalidArgument(runtime, kCall, "bytes", "is 0");
  if (!IsPowerOfTwo(alignment) || alignment > LOAM_PAGES_ALIGNMENT_MAX) {
    return InvalidArgument(runtime, kCall, "alignment",
                           "is not a power of two up to 64 MiB");
  }
  const ScopedFatalContext context(runtime->fatal_context());
  uintptr_t address = 0;
  if (bytes <= kMaxBytes) {
    const size_t count = DivideRoundingUp(bytes, kPageBytes);
    address = runtime->WithFreePages([&] {
      return runtime->page_heap()->AllocateManual(
          count, std::max(alignment, kPageBytes), ManualUse::kEmbedder);
    });
  }
  if (address == 0) {
    ErrorMessage message;
    message.Format("%s: out of memory: no room for %zu bytes", kCall, bytes);
    return Report(runtime, Status::kOutOfMemory, message);
  }
  *pages = reinterpret_cast<void*>(address);
  return LOAM_OK;
}

loam_status loam_pages_free(loam_heap* heap, void* pages) {
  constexpr char kCall[] = "loam_pages_free";
  if (heap == nullptr || pages == nullptr) {
    return InvalidArgument(Unwrap(heap), kCall,
                           heap == nullptr ? "heap" : "pages", "is NULL");
  }
  Runtime* runtime = Unwrap(heap);
  const ScopedFatalContext context(runtime->fatal_context());
  if (!runtime->page_heap()->FreeManual(Address(pages), ManualUse::kEmbedder)) {
    return InvalidArgument(runtime, kCall, "pages",
                           "is not what loam_pages_allocate gave, or has been "
                           "freed already");
  }
  return LOAM_OK;
}

}  // extern "C"
