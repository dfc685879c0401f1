#include "tests/heap_model/encoding.h"

namespace loam_test {
namespace {

// LOW_TAG: 1 and 5 are references, the other tags are small integers and such.
constexpr uint32_t kTagMask = 7;
constexpr loam_word kReferenceTags[] = {1, 5};
constexpr loam_word kOtherTags[] = {0, 2, 3, 4, 6, 7};

// NANBOX: three tags are references; what surrounds them is not.
constexpr uint32_t kBoxShift = 48;
constexpr uint32_t kFirstBox = 0xfffb;
constexpr uint32_t kLastBox = 0xfffd;
constexpr uint64_t kPayload = (uint64_t{1} << kBoxShift) - 1;

// CALLBACK: shifted addresses, so that no mask could decode them.
constexpr int kCallbackShift = 13;
uintptr_t Decode(loam_word word) {
  return (word & 3) == 2 ? word >> kCallbackShift : 0;
}

}  // namespace

loam_encoding Encoding::options() const {
  loam_encoding e = {};
  e.kind = kind_;
  e.low_tag_mask = kTagMask;
  for (loam_word tag : kReferenceTags) e.low_tag_references |= 1u << tag;
  e.nanbox_shift = kBoxShift;
  e.nanbox_first_tag = kFirstBox;
  e.nanbox_last_tag = kLastBox;
  e.nanbox_payload_mask = kPayload;
  e.decode = kind_ == LOAM_ENCODING_CALLBACK ? Decode : nullptr;
  return e;
}

loam_word Encoding::Encode(uintptr_t address, Random* random) const {
  switch (kind_) {
    case LOAM_ENCODING_POINTER:
      return address;
    case LOAM_ENCODING_LOW_TAG:
      return address | kReferenceTags[random->Below(2)];
    case LOAM_ENCODING_NANBOX:
      return address | (random->Between(kFirstBox, kLastBox) << kBoxShift);
    case LOAM_ENCODING_CALLBACK:
      return (address << kCallbackShift) | 2;
  }
  return 0;
}

loam_word Encoding::Immediate(uintptr_t address, Random* random) const {
  switch (kind_) {
    case LOAM_ENCODING_POINTER:
      return random->Below(4096);  // The first page is nobody's.
    case LOAM_ENCODING_LOW_TAG:
      return (address & ~uintptr_t{kTagMask}) | kOtherTags[random->Below(6)];
    case LOAM_ENCODING_NANBOX:
      return address |
             (uint64_t{random->Percent(50) ? kFirstBox - 1 : kLastBox + 1}
              << kBoxShift);
    case LOAM_ENCODING_CALLBACK:
      return (address << kCallbackShift) | (random->Percent(50) ? 1 : 3);
  }
  return 0;
}

}  // namespace loam_test
