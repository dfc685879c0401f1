#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

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

uintptr_t AllocateHugePages(size_t bytes) {
  const uintptr_t address = Reserve(0, bytes, kHugePageBytes);
  if (address == 0) return 0;
  if (!Prepare(address, bytes)) {
    Release(address, bytes);
    return 0;
  }
  AllowHugePages(address, bytes);
  return address;
}

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t HugePageBytes() {
  const int file = open("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
                        O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[32] = {};
  const ssize_t length = read(file, text, sizeof(text) - 1);
  close(file);
  return length <= 0 ? 0 : strtoull(text, nullptr, 10);
}

size_t ResidentBytes(uintptr_t address, size_t bytes) {
  const size_t page_bytes = PageBytes();
  unsigned char resident[4096];  // of so many pages, in bit 0 of each
  size_t pages = 0;
  while (bytes > 0) {
    const size_t part = std::min(bytes, sizeof(resident) * page_bytes);
    LOAM_CHECK(mincore(Pointer(address), part, resident) == 0,
               "mincore(%p, %zu) failed", Pointer(address), part);
    const size_t count = DivideRoundingUp(part, page_bytes);
    for (size_t i = 0; i < count; i++) pages += resident[i] & 1;
    address += part;
    bytes -= part;
  }
  return pages * page_bytes;
}

uint64_t RandomBits() {
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof(bits), 0) == sizeof(bits)) return bits;
  // Refused by a filter of system calls. The kernel has left 16 random bytes;
  // they are the same for every heap of the process, but the time is not.
  const auto* given = reinterpret_cast<const void*>(getauxval(AT_RANDOM));
  if (given != nullptr) memcpy(&bits, given, sizeof(bits));
  timespec now = {};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t time = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
                        static_cast<uint64_t>(now.tv_nsec);
  return (bits ^ time) * 0x9e3779b97f4a7c15;
}

}  // namespace loam::os
