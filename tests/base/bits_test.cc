#include "runtime/base/bits.h"

#include <algorithm>
#include <array>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"

namespace loam {
namespace {

constexpr size_t kBits = 300;
constexpr size_t kWords = 5;
using Bitmap = std::array<uint64_t, kWords>;

TEST(BitsTest, RoundsToPowersOfTwo) {
  EXPECT_EQ(AlignUp(0, 16), 0);
  EXPECT_EQ(AlignUp(1, 16), 16);
  EXPECT_EQ(AlignUp(16, 16), 16);
  EXPECT_EQ(AlignUp(17, 16), 32);
  EXPECT_EQ(AlignDown(15, 16), 0);
  EXPECT_EQ(AlignDown(31, 16), 16);
  EXPECT_EQ(DivideRoundingUp(0, 7), 0);
  EXPECT_EQ(DivideRoundingUp(1, 7), 1);
  EXPECT_EQ(DivideRoundingUp(7, 7), 1);
  EXPECT_EQ(DivideRoundingUp(8, 7), 2);
  EXPECT_EQ(BitmapWords(0), 0);
  EXPECT_EQ(BitmapWords(1), 1);
  EXPECT_EQ(BitmapWords(64), 1);
  EXPECT_EQ(BitmapWords(65), 2);
}

TEST(BitsTest, PowersOfTwo) {
  EXPECT_FALSE(IsPowerOfTwo(0));
  for (int i = 0; i < 64; i++) {
    const uint64_t power = uint64_t{1} << i;
    EXPECT_TRUE(IsPowerOfTwo(power)) << i;
    EXPECT_EQ(IsPowerOfTwo(power + 1), power == 1) << i;
  }
}

TEST(BitsTest, LowBits) {
  EXPECT_EQ(LowBits(0), 0);
  EXPECT_EQ(LowBits(1), 1);
  EXPECT_EQ(LowBits(63), UINT64_MAX >> 1);
  EXPECT_EQ(LowBits(64), UINT64_MAX);
}

TEST(BitsTest, SingleBits) {
  for (size_t i = 0; i < kBits; i++) {
    Bitmap bitmap = {};
    SetBit(bitmap.data(), i);
    for (size_t j = 0; j < kBits; j++) {
      EXPECT_EQ(TestBit(bitmap.data(), j), i == j) << i << " " << j;
    }
    EXPECT_EQ(bitmap[i / 64], uint64_t{1} << (i % 64));
    bitmap.fill(UINT64_MAX);
    ClearBit(bitmap.data(), i);
    EXPECT_EQ(bitmap[i / 64], ~(uint64_t{1} << (i % 64)));
  }
}

TEST(BitsTest, EmptyRangesTouchNothing) {
  // No bitmap at all: an empty range must not read one.
  EXPECT_EQ(FindFirstSet(nullptr, 7, 7), 7);
  EXPECT_EQ(FindFirstClear(nullptr, 64, 64), 64);
  EXPECT_EQ(CountSet(nullptr, 5, 5), 0);
  SetBitRange(nullptr, 64, 64);
  ClearBitRange(nullptr, 64, 64);
}

TEST(BitsTest, RangesEndAtWordBoundariesWithoutReadingOn) {
  // The address sanitizer watches what lies behind the vector.
  const std::vector<uint64_t> zeros(2, 0);
  const std::vector<uint64_t> ones(2, UINT64_MAX);
  EXPECT_EQ(FindFirstSet(zeros.data(), 0, 128), 128);
  EXPECT_EQ(FindFirstClear(ones.data(), 0, 128), 128);
  EXPECT_EQ(CountSet(ones.data(), 0, 128), 128);
}

// The plain meaning of each function, bit by bit.

std::vector<bool> Unpack(const Bitmap& bitmap) {
  std::vector<bool> bits(kWords * 64);
  for (size_t i = 0; i < bits.size(); i++) {
    bits[i] = (bitmap[i / 64] >> (i % 64)) % 2 == 1;
  }
  return bits;
}

size_t SlowFind(const std::vector<bool>& bits, bool value, size_t from,
                size_t end) {
  for (size_t i = from; i < end; i++) {
    if (bits[i] == value) return i;
  }
  return end;
}

size_t SlowCount(const std::vector<bool>& bits, size_t from, size_t end) {
  size_t count = 0;
  for (size_t i = from; i < end; i++) count += bits[i] ? 1 : 0;
  return count;
}

// Sparse, dense, and even: runs of all lengths come up.
Bitmap RandomBitmap(TestRandom* random) {
  Bitmap bitmap = {};
  const size_t density = random->Below(5);
  for (uint64_t& word : bitmap) {
    switch (density) {
      case 0:
        word = random->Next() & random->Next() & random->Next() &
               random->Next() & random->Next();
        break;
      case 1:
        word = ~(random->Next() & random->Next() & random->Next() &
                 random->Next() & random->Next());
        break;
      case 2:
        word = random->OneIn(2) ? 0 : UINT64_MAX;
        break;
      default:
        word = random->Next();
    }
  }
  return bitmap;
}

size_t SlowFindRun(uint64_t word, size_t length) {
  for (size_t at = 0; at + length <= 64; at++) {
    if ((word >> at & LowBits(length)) == LowBits(length)) return at;
  }
  return 64;
}

TEST(BitsTest, FindsRunsOfEveryWidthInAWord) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (size_t length = 1; length <= 64; length++) {
    const uint64_t run = LowBits(length);
    EXPECT_EQ(FindRunInWord(0, length), 64u);
    EXPECT_EQ(FindRunInWord(~uint64_t{0}, length), 0u);
    EXPECT_EQ(FindRunInWord(LowBits(length - 1), length), 64u) << length;
    for (size_t at = 0; at + length <= 64; at++) {
      EXPECT_EQ(FindRunInWord(run << at, length), at) << length;
      // One that is too short, right before it.
      if (at >= 2) {
        const uint64_t before = LowBits(std::min(at - 1, length - 1));
        EXPECT_EQ(FindRunInWord(run << at | before, length), at) << length;
      }
    }
    for (int i = 0; i < 200; i++) {
      uint64_t word = random.Next();
      for (size_t n = random.Below(5); n > 0; n--) word |= random.Next();
      EXPECT_EQ(FindRunInWord(word, length), SlowFindRun(word, length))
          << std::hex << word << std::dec << ", " << length;
    }
  }
}

TEST(BitsTest, RandomRangesAgreeWithBitByBit) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  for (int round = 0; round < 20'000 && !testing::Test::HasFailure(); round++) {
    const Bitmap bitmap = RandomBitmap(&random);
    const std::vector<bool> bits = Unpack(bitmap);
    const size_t from = random.Below(kBits + 1);
    const size_t end = random.Between(from, kBits);
    SCOPED_TRACE(testing::Message() << "[" << from << ", " << end << ")");
    EXPECT_EQ(FindFirstSet(bitmap.data(), from, end),
              SlowFind(bits, true, from, end));
    EXPECT_EQ(FindFirstClear(bitmap.data(), from, end),
              SlowFind(bits, false, from, end));
    EXPECT_EQ(CountSet(bitmap.data(), from, end), SlowCount(bits, from, end));
    size_t last_end = end;
    while (last_end > 0 && !bits[last_end - 1]) last_end--;
    EXPECT_EQ(FindLastSetEnd(bitmap.data(), end), last_end);

    Bitmap set = bitmap;
    SetBitRange(set.data(), from, end);
    Bitmap cleared = bitmap;
    ClearBitRange(cleared.data(), from, end);
    std::vector<bool> expected_set = bits;
    std::vector<bool> expected_cleared = bits;
    for (size_t i = from; i < end; i++) {
      expected_set[i] = true;
      expected_cleared[i] = false;
    }
    EXPECT_EQ(Unpack(set), expected_set);
    EXPECT_EQ(Unpack(cleared), expected_cleared);
  }
}

}  // namespace
}  // namespace loam
