#include <sys/mman.h>

#include <cerrno>

#include "runtime/base/bits.h"
#include "runtime/base/fatal.h"
#include "runtime/heap/os_memory.h"

namespace loam::os {
namespace {

constexpr int kMapFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

uintptr_t Map(uintptr_t hint, size_t bytes, int protection) {
  void* address =
      mmap(reinterpret_cast<void*>(hint), bytes, protection, kMapFlags, -1, 0);
  return address == MAP_FAILED ? 0 : reinterpret_cast<uintptr_t>(address);
}

void* Pointer(uintptr_t address) { return reinterpret_cast<void*>(address); }

}  // namespace

uintptr_t ReserveExactly(uintptr_t hint, size_t bytes) {
  const uintptr_t address = Map(hint, bytes, PROT_NONE);
  if (address == 0 || address == hint) return address;
  Release(address, bytes);
  return 0;
}

uintptr_t Reserve(uintptr_t hint, size_t bytes, size_t alignment) {
  if (hint != 0 && hint % alignment == 0) {
    if (const uintptr_t address = ReserveExactly(hint, bytes)) return address;
  }
  // Reserve too much and give back both ends.
  const size_t padded = bytes + alignment;
  if (padded < bytes) return 0;
  const uintptr_t address = Map(0, padded, PROT_NONE);
  if (address == 0) return 0;
  const uintptr_t aligned = AlignUp(address, alignment);
  if (aligned > address) Release(address, aligned - address);
  const uintptr_t end = address + padded;
  if (end > aligned + bytes) Release(aligned + bytes, end - aligned - bytes);
  return aligned;
}

bool Prepare(uintptr_t address, size_t bytes) {
  return mprotect(Pointer(address), bytes, PROT_READ | PROT_WRITE) == 0;
}

// Linux backs Prepared memory when it is first touched.
bool Commit(uintptr_t, size_t) { return true; }

bool Decommit(uintptr_t address, size_t bytes) {
  // MADV_DONTNEED rather than MADV_FREE: resident memory falls at once, and the
  // pages read as zero afterwards, which needzero relies on.
  if (madvise(Pointer(address), bytes, MADV_DONTNEED) == 0) return true;
  LOAM_CHECK(errno == EINVAL, "madvise(%p, %zu) failed", Pointer(address),
             bytes);
  return false;
}

// Failure means that the kernel has none.
void AllowHugePages(uintptr_t address, size_t bytes) {
  (void)madvise(Pointer(address), bytes, MADV_HUGEPAGE);
}

void Protect(uintptr_t address, size_t bytes) {
  LOAM_CHECK(mprotect(Pointer(address), bytes, PROT_NONE) == 0,
             "mprotect(%p, %zu) failed", Pointer(address), bytes);
}

void Release(uintptr_t address, size_t bytes) {
  LOAM_CHECK(munmap(Pointer(address), bytes) == 0, "munmap(%p, %zu) failed",
             Pointer(address), bytes);
}

uintptr_t Allocate(size_t bytes) {
  const uintptr_t address = Map(0, bytes, PROT_READ | PROT_WRITE);
  // Metadata is touched sparsely: a huge page would make 2 MiB resident for one
  // record. Failure means that the kernel has no huge pages.
  if (address != 0) {
    (void)madvise(Pointer(address), bytes, MADV_NOHUGEPAGE);
  }
  return address;
}

}  // namespace loam::os
