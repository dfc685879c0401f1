#include "runtime/heap/os_memory.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "gtest/gtest.h"
#include "runtime/heap/heap_constants.h"
#include "tests/support/mappings.h"

namespace loam {
namespace {

constexpr size_t kBytes = 1 << 20;

unsigned char* Bytes(uintptr_t address) {
  return reinterpret_cast<unsigned char*>(address);
}

bool IsZero(uintptr_t address, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    if (Bytes(address)[i] != 0) return false;
  }
  return true;
}

// Reserved -> Prepared -> Ready.
void MakeReady(uintptr_t address, size_t bytes) {
  ASSERT_TRUE(os::Prepare(address, bytes));
  ASSERT_TRUE(os::Commit(address, bytes));
}

TEST(OsMemoryTest, ReservedMemoryBecomesReadyAndIsZero) {
  const uintptr_t address = os::Reserve(0, kBytes, kOsPageBytes);
  ASSERT_NE(address, 0);
  ASSERT_NO_FATAL_FAILURE(MakeReady(address, kBytes));
  EXPECT_TRUE(IsZero(address, kBytes));
  memset(Bytes(address), 0xaa, kBytes);
  EXPECT_EQ(Bytes(address)[kBytes - 1], 0xaa);
  os::Release(address, kBytes);
}

TEST(OsMemoryTest, ReservationsAreAligned) {
  for (size_t alignment = kOsPageBytes; alignment <= kArenaBytes;
       alignment *= 4) {
    const uintptr_t address = os::Reserve(0, kBytes, alignment);
    ASSERT_NE(address, 0);
    EXPECT_EQ(address % alignment, 0);
    // Both ends belong to us, and what was too much is gone: each can be
    // reserved by itself now.
    MakeReady(address, kBytes);
    const uintptr_t behind = os::ReserveExactly(address + kBytes, kOsPageBytes);
    if (behind != 0) os::Release(behind, kOsPageBytes);
    os::Release(address, kBytes);
  }
}

// Reserved with room to spare, and trimmed at both ends.
TEST(OsMemoryTest, AlignedReservationKeepsExactlyTheAlignedPart) {
  for (int i = 0; i < 20; i++) {
    // The next place that is free is aligned to nothing in particular.
    const uintptr_t shift =
        os::Reserve(0, (i + 1) * kOsPageBytes, kOsPageBytes);
    const size_t before = loam_test::RuntimeBytes();
    for (size_t alignment = kOsPageBytes; alignment <= kArenaBytes;
         alignment *= 2) {
      const uintptr_t address = os::Reserve(0, kBytes, alignment);
      ASSERT_NE(address, 0);
      EXPECT_EQ(address % alignment, 0);
      ASSERT_TRUE(loam_test::RuntimeHasGrownBy(kBytes, before)) << alignment;
      EXPECT_EQ(loam_test::MappedBytes(address, address + kBytes), kBytes);
      EXPECT_EQ(loam_test::MappingOf(address).permissions, "---p");
      os::Release(address, kBytes);
    }
    EXPECT_TRUE(loam_test::RuntimeHasGrownBy(0, before));
    os::Release(shift, (i + 1) * kOsPageBytes);
  }
}

TEST(OsMemoryTest, RefusedReservationLeavesNothing) {
  const uintptr_t taken = os::Allocate(kBytes);
  const size_t before = loam_test::RuntimeBytes();
  EXPECT_EQ(os::Reserve(0, size_t{1} << 60, kArenaBytes), 0);
  EXPECT_EQ(os::Reserve(taken, size_t{1} << 60, kOsPageBytes), 0);
  EXPECT_EQ(os::Reserve(0, SIZE_MAX - kOsPageBytes + 1, kArenaBytes), 0);
  EXPECT_EQ(os::ReserveExactly(taken, kBytes), 0);
  EXPECT_EQ(os::AllocateHugePages(size_t{1} << 60), 0);
  EXPECT_TRUE(loam_test::RuntimeHasGrownBy(0, before));
  os::Release(taken, kBytes);
}

TEST(OsMemoryTest, ResidentBytesAreThoseTouched) {
  // More than is asked for at a time.
  constexpr size_t kMany = size_t{40} << 20;
  const uintptr_t address = os::Reserve(0, kMany, kOsPageBytes);
  ASSERT_NE(address, 0);
  EXPECT_EQ(os::ResidentBytes(address, kMany), 0) << "reserved";
  ASSERT_NO_FATAL_FAILURE(MakeReady(address, kMany));
  EXPECT_EQ(os::ResidentBytes(address, kMany), 0);
  for (const size_t page : {0, 1, 77, 4095, 4096, 4097, 10239}) {
    *Bytes(address + page * kOsPageBytes) = 1;
  }
  EXPECT_EQ(os::ResidentBytes(address, kMany), 7 * kOsPageBytes);
  EXPECT_EQ(loam_test::MappingOf(address).resident_bytes, 7 * kOsPageBytes);
  ASSERT_TRUE(os::Decommit(address, kMany / 2));
  EXPECT_EQ(os::ResidentBytes(address, kMany), kOsPageBytes);
  os::Release(address, kMany);
}

TEST(OsMemoryTest, RandomBitsDiffer) {
  EXPECT_NE(os::RandomBits(), os::RandomBits());
}

TEST(OsMemoryTest, HintIsTakenIfFree) {
  const uintptr_t address = os::Reserve(0, kBytes, kArenaBytes);
  ASSERT_NE(address, 0);
  os::Release(address, kBytes);
  EXPECT_EQ(os::Reserve(address, kBytes, kArenaBytes), address);
  // Taken now.
  EXPECT_EQ(os::ReserveExactly(address, kBytes), 0);
  const uintptr_t other = os::Reserve(address, kBytes, kArenaBytes);
  EXPECT_NE(other, 0);
  EXPECT_NE(other, address);
  EXPECT_EQ(other % kArenaBytes, 0);
  os::Release(address, kBytes);
  os::Release(other, kBytes);
  EXPECT_EQ(os::ReserveExactly(address, kBytes), address);
  os::Release(address, kBytes);
}

TEST(OsMemoryTest, ExactReservationDoesNotTouchItsNeighbour) {
  const uintptr_t address = os::Allocate(kBytes);
  ASSERT_NE(address, 0);
  Bytes(address)[0] = 0x11;
  // Overlaps: refused, and nothing of it is lost.
  EXPECT_EQ(os::ReserveExactly(address, kBytes), 0);
  EXPECT_EQ(Bytes(address)[0], 0x11);
  os::Release(address, kBytes);
}

TEST(OsMemoryTest, ImpossibleReservationIsRefused) {
  EXPECT_EQ(os::Reserve(0, size_t{1} << 60, kOsPageBytes), 0);
  EXPECT_EQ(os::Reserve(0, SIZE_MAX - kOsPageBytes + 1, kArenaBytes), 0);
  EXPECT_EQ(os::Allocate(size_t{1} << 60), 0);
}

TEST(OsMemoryTest, LockedMemoryIsNotDecommitted) {
  constexpr size_t kBytes = size_t{4} * 4096;
  const uintptr_t base = os::Allocate(kBytes);
  ASSERT_NE(base, 0);
  auto* const memory = reinterpret_cast<char*>(base);
  memory[0] = 7;
  // Not mlock(): sanitizers make that do nothing.
  if (syscall(SYS_mlock, memory, kBytes) != 0) {
    GTEST_SKIP() << "not allowed to lock memory";
  }
  EXPECT_FALSE(os::Decommit(base, kBytes));
  EXPECT_EQ(memory[0], 7);
  ASSERT_EQ(syscall(SYS_munlock, memory, kBytes), 0);
  EXPECT_TRUE(os::Decommit(base, kBytes));
  EXPECT_EQ(memory[0], 0);
  os::Release(base, kBytes);
}

TEST(OsMemoryTest, DecommitGivesZeroes) {
  const uintptr_t address = os::Reserve(0, kBytes, kOsPageBytes);
  ASSERT_NE(address, 0);
  ASSERT_NO_FATAL_FAILURE(MakeReady(address, kBytes));
  memset(Bytes(address), 0x5a, kBytes);
  const uintptr_t middle = address + kBytes / 4;
  ASSERT_TRUE(os::Decommit(middle, kBytes / 2));
  ASSERT_TRUE(os::Commit(middle, kBytes / 2));
  EXPECT_TRUE(IsZero(middle, kBytes / 2));
  EXPECT_EQ(*Bytes(middle - 1), 0x5a);
  EXPECT_EQ(*Bytes(middle + kBytes / 2), 0x5a);
  os::Release(address, kBytes);
}

TEST(OsMemoryTest, AllocatedMemoryIsZeroAndWritable) {
  const uintptr_t address = os::Allocate(kBytes);
  ASSERT_NE(address, 0);
  EXPECT_TRUE(IsZero(address, kBytes));
  memset(Bytes(address), 1, kBytes);
  os::Release(address, kBytes);
}

TEST(OsMemoryTest, ReleasedPartsLeaveTheRest) {
  const uintptr_t address = os::Allocate(4 * kOsPageBytes);
  ASSERT_NE(address, 0);
  os::Release(address + kOsPageBytes, 2 * kOsPageBytes);
  Bytes(address)[0] = 1;
  Bytes(address)[3 * kOsPageBytes] = 1;
  os::Release(address, kOsPageBytes);
  os::Release(address + 3 * kOsPageBytes, kOsPageBytes);
}

TEST(OsMemoryTest, ProtectedMemoryCanBePreparedAgain) {
  const uintptr_t address = os::Reserve(0, kBytes, kOsPageBytes);
  ASSERT_NO_FATAL_FAILURE(MakeReady(address, kBytes));
  os::Protect(address, kBytes);
  ASSERT_NO_FATAL_FAILURE(MakeReady(address, kBytes));
  Bytes(address)[0] = 1;
  os::Release(address, kBytes);
}

void Touch(uintptr_t address) {
  *reinterpret_cast<volatile unsigned char*>(address) = 1;
}

TEST(OsMemoryDeathTest, ReservedMemoryFaults) {
  const uintptr_t address = os::Reserve(0, kBytes, kOsPageBytes);
  EXPECT_DEATH(Touch(address), "");
  os::Release(address, kBytes);
}

TEST(OsMemoryDeathTest, ProtectedMemoryFaults) {
  const uintptr_t address = os::Allocate(kBytes);
  Touch(address);
  os::Protect(address, kBytes);
  EXPECT_DEATH(Touch(address), "");
  os::Release(address, kBytes);
}

TEST(OsMemoryDeathTest, ReleasedMemoryFaults) {
  const uintptr_t address = os::Allocate(kBytes);
  Touch(address);
  os::Release(address, kBytes);
  EXPECT_DEATH(Touch(address), "");
}

}  // namespace
}  // namespace loam
