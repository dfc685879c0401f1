#include "runtime/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace loam {
namespace {

// Files that other processes and threads write beside the same path at the same
// time, and those that a process of this number has left behind.
constexpr int kNameAttempts = 1000;

}  // namespace

size_t Utf8SequenceLength(std::string_view text) {
  const auto byte = [text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const auto continues = [&](size_t from, size_t end) {
    for (size_t i = from; i < end; i++) {
      if ((byte(i) & 0xc0) != 0x80) return false;
    }
    return true;
  };
  const unsigned first = byte(0);
  const unsigned second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1, 2) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    // Neither too long for its number, nor half of a UTF-16 pair.
    if (first == 0xe0 && second < 0xa0) return 0;
    if (first == 0xed && second > 0x9f) return 0;
    return continues(1, 3) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (first == 0xf0 && second < 0x90) return 0;
    if (first == 0xf4 && second > 0x8f) return 0;
    return continues(1, 4) ? 4 : 0;
  }
  return 0;
}

OutputFile::~OutputFile() {
  Close();
  if (is_there_) unlink(temporary_);
}

Status OutputFile::Fail(ErrorMessage* message, const char* what, int error) {
  errno = error;  // for %m
  message->Format("cannot %s %.300s: %m", what, path_);
  return Status::kIoError;
}

Status OutputFile::Open(ErrorMessage* message) {
  struct stat existing;
  if (stat(path_, &existing) == 0 && !S_ISREG(existing.st_mode)) {
    // A device must not be replaced by a file.
    message->Format("cannot write %.300s: it is no ordinary file", path_);
    return Status::kIoError;
  }
  const char* slash = strrchr(path_, '/');
  const int folder = slash == nullptr ? 0 : static_cast<int>(slash + 1 - path_);
  if (path_[folder] == '\0') return Fail(message, "open", ENOENT);
  for (int i = 0; i < kNameAttempts; i++) {
    const int length =
        snprintf(temporary_, sizeof(temporary_), "%.*s.loam-%d-%d.tmp", folder,
                 path_, static_cast<int>(getpid()), i);
    if (length < 0 || static_cast<size_t>(length) >= sizeof(temporary_)) {
      return Fail(message, "open", ENAMETOOLONG);
    }
    descriptor_ =
        open(temporary_, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ >= 0 || errno != EEXIST) break;
  }
  if (descriptor_ < 0) return Fail(message, "open", errno);
  is_there_ = true;
  return Status::kOk;
}

void OutputFile::Put(std::string_view text) {
  while (!text.empty()) {
    if (used_ == sizeof(buffer_)) Flush();
    const size_t count = std::min(text.size(), sizeof(buffer_) - used_);
    memcpy(buffer_ + used_, text.data(), count);
    used_ += count;
    text.remove_prefix(count);
  }
}

void OutputFile::PutNumber(uint64_t number) {
  // Some files are nearly all numbers.
  char digits[24];
  const char* end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  Put({digits, static_cast<size_t>(end - digits)});
}

void OutputFile::PutHex(uint64_t number) {
  char digits[24];
  Put({digits, static_cast<size_t>(
                   snprintf(digits, sizeof(digits), "%" PRIx64, number))});
}

void OutputFile::PutJsonString(std::string_view text) {
  Put("\"");
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text[0]);
    const size_t length = Utf8SequenceLength(text);
    // U+2028 and U+2029 end a line in older JavaScript.
    const bool ends_line = length == 3 && text.substr(0, 2) == "\xe2\x80" &&
                           (text[2] == '\xa8' || text[2] == '\xa9');
    if (length == 0) {
      Put("\\ufffd");
    } else if (ends_line) {
      Put(text[2] == '\xa8' ? "\\u2028" : "\\u2029");
    } else if (length == 1 && (first < 0x20 || first == 0x7f || first == '"' ||
                               first == '\\' || first == '<' || first == '>' ||
                               first == '&' || first == '\'')) {
      char escape[8];
      snprintf(escape, sizeof(escape), "\\u%04x", first);
      Put(escape);
    } else {
      Put(text.substr(0, length));
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  Put("\"");
}

void OutputFile::Flush() {
  const char* next = buffer_;
  while (used_ > 0 && error_ == 0) {
    const ssize_t written = write(descriptor_, next, used_);
    if (written < 0) {
      if (errno != EINTR) error_ = errno;
      continue;
    }
    next += written;
    used_ -= static_cast<size_t>(written);
  }
  used_ = 0;
}

void OutputFile::Close() {
  if (descriptor_ < 0) return;
  // Some file systems tell only now that there was no room.
  if (close(descriptor_) != 0 && errno != EINTR && error_ == 0) error_ = errno;
  descriptor_ = -1;
}

Status OutputFile::Commit(ErrorMessage* message) {
  Flush();
  Close();
  if (error_ != 0) return Fail(message, "write", error_);
  if (rename(temporary_, path_) != 0) return Fail(message, "write", errno);
  is_there_ = false;
  return Status::kOk;
}

}  // namespace loam
