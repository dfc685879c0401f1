// Memory from the operating system, in four states:
//
//   None      not ours; touching it faults
//   Reserved  address space that is ours; touching it faults
//   Prepared  may become Ready at no great cost; content undefined
//   Ready     readable and writable; zero when it comes from None or Prepared
//
//   Reserve   None -> Reserved         Allocate  None -> Ready, in one step
//   Prepare   Reserved -> Prepared     Release   any -> None
//   Commit    Prepared -> Ready        Protect   Ready -> Reserved
//   Decommit  Ready -> Prepared
//
// One implementation per OS: os_memory_linux.cc. Sizes and addresses are
// multiples of the OS page. Accounting is the caller's (MemoryLedger).

#ifndef LOAM_RUNTIME_HEAP_OS_MEMORY_H_
#define LOAM_RUNTIME_HEAP_OS_MEMORY_H_

#include <cstddef>
#include <cstdint>

namespace loam::os {

constexpr size_t kHugePageBytes = size_t{2} << 20;

// Address space at `hint` if that is free, anywhere otherwise (0: anywhere),
// aligned to `alignment`, a power of two. 0 if the OS refuses.
uintptr_t Reserve(uintptr_t hint, size_t bytes, size_t alignment);
// Only at `hint`: 0 if that is taken.
uintptr_t ReserveExactly(uintptr_t hint, size_t bytes);
bool Prepare(uintptr_t address, size_t bytes);
bool Commit(uintptr_t address, size_t bytes);
// The pages go back to the OS; the next Commit finds zeroes. False, and nothing
// has changed for some or all of them, if they are locked in memory (mlock).
[[nodiscard]] bool Decommit(uintptr_t address, size_t bytes);
// This memory may be backed by huge pages, kHugePageBytes at a time: fewer
// misses of the TLB and fewer faults, at the price of memory where free pages
// lie among used ones.
void AllowHugePages(uintptr_t address, size_t bytes);
void Protect(uintptr_t address, size_t bytes);
void Release(uintptr_t address, size_t bytes);
// Zeroed; backed by memory page by page, when first written. 0 if refused.
uintptr_t Allocate(size_t bytes);
// The same, aligned to huge pages, of which `bytes` is a multiple, and backed
// by them where the OS has them.
uintptr_t AllocateHugePages(size_t bytes);

// The OS's pages, as it is now running; huge ones 0 if it has none.
size_t PageBytes();
size_t HugePageBytes();

// How much of mapped memory is backed now, in any state but None. Asks the OS:
// about a microsecond for each 4 MiB.
size_t ResidentBytes(uintptr_t address, size_t bytes);

// From the OS's source of random numbers, or, where there is none, from what it
// gave the process at its start.
uint64_t RandomBits();

}  // namespace loam::os

#endif  // LOAM_RUNTIME_HEAP_OS_MEMORY_H_
