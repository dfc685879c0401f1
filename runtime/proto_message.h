// A message of protocol buffers (their wire format), in a buffer of its own
// until it is written to a file as a field of the file's one message.
//
// The buffer is for messages of known size: an overflow is a bug.

#ifndef LOAM_RUNTIME_PROTO_MESSAGE_H_
#define LOAM_RUNTIME_PROTO_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/base/fatal.h"
#include "runtime/output_file.h"

namespace loam {

class ProtoMessage {
 public:
  ProtoMessage() = default;
  ProtoMessage(const ProtoMessage&) = delete;
  ProtoMessage& operator=(const ProtoMessage&) = delete;

  // A field of an integer type; 0, the default, is left out.
  void PutNumber(uint32_t field, uint64_t number) {
    if (number != 0) PutElement(field, number);
  }
  // The same for a repeated one.
  void PutElement(uint32_t field, uint64_t number) {
    PutVarint(uint64_t{field} << 3 | kVarint);
    PutVarint(number);
  }
  // A message within this one.
  void PutMessage(uint32_t field, const ProtoMessage& message) {
    PutVarint(uint64_t{field} << 3 | kBytes);
    PutVarint(message.used_);
    for (size_t i = 0; i < message.used_; i++) PutByte(message.buffer_[i]);
  }
  void PutVarint(uint64_t number) {
    while (number >= 0x80) {
      PutByte(static_cast<char>(number | 0x80));
      number >>= 7;
    }
    PutByte(static_cast<char>(number));
  }

  // Writes the message as a field.
  void WriteTo(OutputFile* file, uint32_t field) const {
    WriteHead(file, field, used_);
    WriteRaw(file);
  }
  // A string as a field of the file's message. It must be UTF-8 there; bytes
  // that are not become U+FFFD.
  static void WriteString(OutputFile* file, uint32_t field,
                          std::string_view text) {
    size_t bytes = 0;
    ForEachPiece(text, [&](std::string_view piece) { bytes += piece.size(); });
    WriteHead(file, field, bytes);
    ForEachPiece(text, [&](std::string_view piece) { file->Put(piece); });
  }
  // The fields of the message as fields of the file's.
  void WriteRaw(OutputFile* file) const { file->Put({buffer_, used_}); }

 private:
  enum WireType : uint64_t { kVarint = 0, kBytes = 2 };
  // A sample of a call stack with all its frames, and some more.
  static constexpr size_t kBufferBytes = 2048;

  // Of a field of so many bytes.
  static void WriteHead(OutputFile* file, uint32_t field, size_t bytes) {
    ProtoMessage head;
    head.PutVarint(uint64_t{field} << 3 | kBytes);
    head.PutVarint(bytes);
    head.WriteRaw(file);
  }
  // Calls visit(piece) for the characters of a text, one by one.
  template <typename Visit>
  static void ForEachPiece(std::string_view text, Visit&& visit) {
    while (!text.empty()) {
      const size_t length = Utf8SequenceLength(text);
      visit(length != 0 ? text.substr(0, length) : kNotUtf8);
      text.remove_prefix(length != 0 ? length : 1);
    }
  }

  void PutByte(char byte) {
    LOAM_CHECK(used_ < kBufferBytes, "a message of a profile is too long");
    buffer_[used_++] = byte;
  }

  size_t used_ = 0;
  char buffer_[kBufferBytes];
};

}  // namespace loam

#endif  // LOAM_RUNTIME_PROTO_MESSAGE_H_
