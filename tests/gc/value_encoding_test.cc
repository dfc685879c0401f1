#include "runtime/gc/value_encoding.h"

#include "gtest/gtest.h"

namespace loam {
namespace {

constexpr uintptr_t kAddress = 0xc000123450;

ValueEncoding LowTag(uint32_t mask, uint64_t references) {
  ValueEncoding encoding;
  encoding.kind = EncodingKind::kLowTag;
  encoding.low_tag_mask = mask;
  encoding.low_tag_references = references;
  return encoding;
}

ValueEncoding NanBox(uint32_t shift, uint64_t first, uint64_t last,
                     uint64_t payload) {
  ValueEncoding encoding;
  encoding.kind = EncodingKind::kNanBox;
  encoding.nanbox_shift = shift;
  encoding.nanbox_first_tag = first;
  encoding.nanbox_last_tag = last;
  encoding.nanbox_payload_mask = payload;
  return encoding;
}

constexpr uint64_t kLow48 = (uint64_t{1} << 48) - 1;

TEST(ValueEncodingTest, PointersAreThemselves) {
  const ValueEncoding encoding;
  EXPECT_EQ(DecodeValue(encoding, kAddress), kAddress);
  EXPECT_EQ(DecodeValue(encoding, 0), 0);
  EXPECT_EQ(DecodeValue(encoding, UINT64_MAX), UINT64_MAX);
}

TEST(ValueEncodingTest, LowTagsThatAreReferences) {
  for (const uint32_t mask : {1U, 3U, 7U, 15U, 63U}) {
    const uintptr_t base = kAddress & ~uintptr_t{63};
    for (uint32_t reference = 0; reference <= mask; reference++) {
      const ValueEncoding encoding = LowTag(mask, uint64_t{1} << reference);
      for (uint32_t tag = 0; tag <= mask; tag++) {
        EXPECT_EQ(DecodeValue(encoding, base | tag),
                  tag == reference ? base : 0)
            << "mask " << mask << " tag " << tag;
      }
      EXPECT_EQ(DecodeValue(encoding, 0), 0);
    }
  }
}

TEST(ValueEncodingTest, SeveralLowTags) {
  const ValueEncoding encoding = LowTag(7, 0b10000110);
  EXPECT_EQ(DecodeValue(encoding, 0x1000), 0);
  EXPECT_EQ(DecodeValue(encoding, 0x1001), 0x1000);
  EXPECT_EQ(DecodeValue(encoding, 0x1002), 0x1000);
  EXPECT_EQ(DecodeValue(encoding, 0x1003), 0);
  EXPECT_EQ(DecodeValue(encoding, 0x1006), 0);
  EXPECT_EQ(DecodeValue(encoding, 0x1007), 0x1000);
  // A small integer such as 0x7fff...f8 | 3 is data, whatever its high bits.
  EXPECT_EQ(DecodeValue(encoding, UINT64_MAX - 4), 0);
}

TEST(ValueEncodingTest, MaskOfZeroMakesEveryWordOneTag) {
  EXPECT_EQ(DecodeValue(LowTag(0, 1), kAddress), kAddress);
  EXPECT_EQ(DecodeValue(LowTag(0, 0), kAddress), 0);
}

TEST(ValueEncodingTest, NanBoxesInTheRangeAreReferences) {
  const ValueEncoding encoding = NanBox(48, 0xfff9, 0xfffb, kLow48);
  for (uint64_t tag = 0xfff7; tag <= 0xffff; tag++) {
    EXPECT_EQ(DecodeValue(encoding, tag << 48 | kAddress),
              tag >= 0xfff9 && tag <= 0xfffb ? kAddress : 0)
        << tag;
  }
  EXPECT_EQ(DecodeValue(encoding, kAddress), 0) << "a denormal double";
  EXPECT_EQ(DecodeValue(encoding, 0), 0);
  EXPECT_EQ(DecodeValue(encoding, uint64_t{0xfffa} << 48), 0) << "boxed NULL";
}

TEST(ValueEncodingTest, NanBoxRangesAtBothEnds) {
  // Unboxed pointers, as where doubles are shifted up.
  const ValueEncoding low = NanBox(48, 0, 0, kLow48);
  EXPECT_EQ(DecodeValue(low, kAddress), kAddress);
  EXPECT_EQ(DecodeValue(low, 0), 0);
  EXPECT_EQ(DecodeValue(low, uint64_t{1} << 48 | kAddress), 0);
  EXPECT_EQ(DecodeValue(low, uint64_t{0xffff} << 48 | kAddress), 0);
  const ValueEncoding high = NanBox(48, 0xffff, 0xffff, kLow48);
  EXPECT_EQ(DecodeValue(high, uint64_t{0xffff} << 48 | kAddress), kAddress);
  EXPECT_EQ(DecodeValue(high, uint64_t{0xfffe} << 48 | kAddress), 0);
  EXPECT_EQ(DecodeValue(high, kAddress), 0);
}

TEST(ValueEncodingTest, NanBoxPayloadMaskDropsLowBitsToo) {
  const ValueEncoding encoding = NanBox(47, 0x1fff8, 0x1fff8, kLow48 & ~7);
  EXPECT_EQ(DecodeValue(encoding, uint64_t{0x1fff8} << 47 | kAddress | 5),
            kAddress);
}

uintptr_t Decode(uintptr_t word) {
  return (word & 1) != 0 ? ~word & kLow48 : 0;
}

TEST(ValueEncodingTest, CallbackDecidesAll) {
  ValueEncoding encoding;
  encoding.kind = EncodingKind::kCallback;
  encoding.decode = Decode;
  EXPECT_EQ(DecodeValue(encoding, ~kAddress), kAddress);
  EXPECT_EQ(DecodeValue(encoding, kAddress), 0);
  EXPECT_EQ(DecodeValue(encoding, 0), 0);
}

// The marker uses the decoders, everything else DecodeValue.
TEST(ValueEncodingTest, DecodersAreWhatDecodeValueUses) {
  const ValueEncoding low = LowTag(7, 0b10);
  const ValueEncoding box = NanBox(48, 0xfff9, 0xfffb, kLow48);
  ValueEncoding callback;
  callback.kind = EncodingKind::kCallback;
  callback.decode = Decode;
  for (const uintptr_t word :
       {uintptr_t{0}, kAddress, kAddress | 1, kAddress | 3, ~kAddress,
        uintptr_t{0xfffa} << 48 | kAddress, UINTPTR_MAX}) {
    EXPECT_EQ(PointerDecoder(ValueEncoding())(word), word);
    EXPECT_EQ(LowTagDecoder(low)(word), DecodeValue(low, word));
    EXPECT_EQ(NanBoxDecoder(box)(word), DecodeValue(box, word));
    EXPECT_EQ(CallbackDecoder(callback)(word), DecodeValue(callback, word));
  }
}

}  // namespace
}  // namespace loam
