// How the words that an embedder calls values are decoded. Each encoding is a
// decoder: a function object from a word to the address it refers to, or to
// something that lies in no heap (0, mostly). The marker is compiled once per
// decoder, so that decoding is never a branch per word.

#ifndef LOAM_RUNTIME_GC_VALUE_ENCODING_H_
#define LOAM_RUNTIME_GC_VALUE_ENCODING_H_

#include <cstdint>

namespace loam {

enum class EncodingKind : uint8_t { kPointer, kLowTag, kNanBox, kCallback };

// The parameters of all of them; see loam_encoding.
struct ValueEncoding {
  EncodingKind kind = EncodingKind::kPointer;
  uint32_t low_tag_mask = 0;
  uint64_t low_tag_references = 0;
  uint32_t nanbox_shift = 0;
  uint64_t nanbox_first_tag = 0;
  uint64_t nanbox_last_tag = 0;
  uint64_t nanbox_payload_mask = 0;
  uintptr_t (*decode)(uintptr_t word) = nullptr;
};

struct PointerDecoder {
  explicit PointerDecoder(const ValueEncoding&) {}
  uintptr_t operator()(uintptr_t word) const { return word; }
};

struct LowTagDecoder {
  explicit LowTagDecoder(const ValueEncoding& e)
      : mask(e.low_tag_mask), references(e.low_tag_references) {}
  uintptr_t operator()(uintptr_t word) const {
    return (references >> (word & mask)) & 1 ? word & ~mask : 0;
  }
  const uintptr_t mask;
  const uint64_t references;
};

struct NanBoxDecoder {
  explicit NanBoxDecoder(const ValueEncoding& e)
      : shift(e.nanbox_shift),
        first(e.nanbox_first_tag),
        span(e.nanbox_last_tag - e.nanbox_first_tag),
        payload(e.nanbox_payload_mask) {}
  uintptr_t operator()(uintptr_t word) const {
    return (word >> shift) - first <= span ? word & payload : 0;
  }
  const uint32_t shift;
  const uint64_t first;
  const uint64_t span;
  const uint64_t payload;
};

struct CallbackDecoder {
  explicit CallbackDecoder(const ValueEncoding& e) : decode(e.decode) {}
  uintptr_t operator()(uintptr_t word) const { return decode(word); }
  uintptr_t (*const decode)(uintptr_t word);
};

// For code off the hot path.
inline uintptr_t DecodeValue(const ValueEncoding& e, uintptr_t word) {
  switch (e.kind) {
    case EncodingKind::kPointer:
      return PointerDecoder(e)(word);
    case EncodingKind::kLowTag:
      return LowTagDecoder(e)(word);
    case EncodingKind::kNanBox:
      return NanBoxDecoder(e)(word);
    case EncodingKind::kCallback:
      return CallbackDecoder(e)(word);
  }
  return 0;
}

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_VALUE_ENCODING_H_
