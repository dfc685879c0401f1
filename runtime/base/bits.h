// Small integer arithmetic used everywhere: rounding, powers of two, scanning
// bitmaps kept as arrays of 64-bit words (bit i of a bitmap is bit i % 64 of
// word i / 64).

#ifndef LOAM_RUNTIME_BASE_BITS_H_
#define LOAM_RUNTIME_BASE_BITS_H_

#include <bit>
#include <cstddef>
#include <cstdint>

namespace loam {

constexpr size_t kWordBytes = 8;
constexpr size_t kBitsPerWord = 64;

constexpr bool IsPowerOfTwo(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

// `alignment` is a power of two. The caller has ruled out overflow.
constexpr uint64_t AlignUp(uint64_t x, uint64_t alignment) {
  return (x + alignment - 1) & ~(alignment - 1);
}
constexpr uint64_t AlignDown(uint64_t x, uint64_t alignment) {
  return x & ~(alignment - 1);
}
constexpr uint64_t DivideRoundingUp(uint64_t x, uint64_t divisor) {
  return (x + divisor - 1) / divisor;
}

// Words needed for a bitmap of `bits` bits.
constexpr size_t BitmapWords(size_t bits) {
  return DivideRoundingUp(bits, kBitsPerWord);
}

// The bit of a bitmap's index, in its word.
constexpr uint64_t BitMask(size_t index) {
  return uint64_t{1} << (index % kBitsPerWord);
}

inline bool TestBit(const uint64_t* bitmap, size_t index) {
  return (bitmap[index / kBitsPerWord] >> (index % kBitsPerWord)) & 1;
}
inline void SetBit(uint64_t* bitmap, size_t index) {
  bitmap[index / kBitsPerWord] |= BitMask(index);
}
inline void ClearBit(uint64_t* bitmap, size_t index) {
  bitmap[index / kBitsPerWord] &= ~BitMask(index);
}

// The lowest `count` bits set; count at most 64.
constexpr uint64_t LowBits(size_t count) {
  return count >= kBitsPerWord ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// Index behind the last set bit in [0, end), or 0.
inline size_t FindLastSetEnd(const uint64_t* bitmap, size_t end) {
  while (end > 0) {
    const size_t first = AlignDown(end - 1, kBitsPerWord);
    const uint64_t word = bitmap[first / kBitsPerWord] & LowBits(end - first);
    if (word != 0) return first + std::bit_width(word);
    end = first;
  }
  return 0;
}

// Index of the first set (clear) bit in [from, end), or `end`.
inline size_t FindFirstSet(const uint64_t* bitmap, size_t from, size_t end) {
  while (from < end) {
    const uint64_t word = bitmap[from / kBitsPerWord] >> (from % kBitsPerWord);
    if (word != 0) {
      const size_t found = from + std::countr_zero(word);
      return found < end ? found : end;
    }
    from = AlignDown(from, kBitsPerWord) + kBitsPerWord;
  }
  return end;
}
inline size_t FindFirstClear(const uint64_t* bitmap, size_t from, size_t end) {
  while (from < end) {
    const uint64_t word = ~bitmap[from / kBitsPerWord] >> (from % kBitsPerWord);
    if (word != 0) {
      const size_t found = from + std::countr_zero(word);
      return found < end ? found : end;
    }
    from = AlignDown(from, kBitsPerWord) + kBitsPerWord;
  }
  return end;
}

// Index of the lowest `length` adjacent set bits of a word, or 64; length from
// 1 to 64.
constexpr size_t FindRunInWord(uint64_t word, size_t length) {
  // Bit i: `found` bits from i on are set.
  size_t found = 1;
  while (found < length) {
    const size_t step = found < length - found ? found : length - found;
    word &= word >> step;
    found += step;
  }
  return word == 0 ? kBitsPerWord : static_cast<size_t>(std::countr_zero(word));
}

// Set bits of a word. std::popcount is a call into the compiler's library on a
// processor without the instruction, and the oldest x86-64 has none.
constexpr unsigned PopCount(uint64_t word) {
#if defined(__POPCNT__) || !defined(__x86_64__)
  return static_cast<unsigned>(std::popcount(word));
#else
  // Sums of neighbouring groups of 1, 2 and 4 bits, then of all bytes.
  word -= (word >> 1) & 0x5555555555555555;
  word = (word & 0x3333333333333333) + ((word >> 2) & 0x3333333333333333);
  word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<unsigned>((word * 0x0101010101010101) >> 56);
#endif
}

// Set bits in [from, end).
inline size_t CountSet(const uint64_t* bitmap, size_t from, size_t end) {
  size_t count = 0;
  while (from < end) {
    const size_t bit = from % kBitsPerWord;
    const size_t length =
        end - from < kBitsPerWord - bit ? end - from : kBitsPerWord - bit;
    count += PopCount((bitmap[from / kBitsPerWord] >> bit) & LowBits(length));
    from += length;
  }
  return count;
}

// Sets (clears) the bits in [from, end).
inline void SetBitRange(uint64_t* bitmap, size_t from, size_t end) {
  while (from < end) {
    const size_t bit = from % kBitsPerWord;
    const size_t length =
        end - from < kBitsPerWord - bit ? end - from : kBitsPerWord - bit;
    bitmap[from / kBitsPerWord] |= LowBits(length) << bit;
    from += length;
  }
}
inline void ClearBitRange(uint64_t* bitmap, size_t from, size_t end) {
  while (from < end) {
    const size_t bit = from % kBitsPerWord;
    const size_t length =
        end - from < kBitsPerWord - bit ? end - from : kBitsPerWord - bit;
    bitmap[from / kBitsPerWord] &= ~(LowBits(length) << bit);
    from += length;
  }
}

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_BITS_H_
