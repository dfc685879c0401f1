// A file that appears whole or not at all: it is written beside its place under
// another name, and takes the place at the end. Through a fixed buffer, with no
// memory of its own, so that it can be used while the world is stopped.

#ifndef LOAM_RUNTIME_OUTPUT_FILE_H_
#define LOAM_RUNTIME_OUTPUT_FILE_H_

#include <climits>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/base/status.h"

namespace loam {

// The length of the UTF-8 sequence that `text` begins with; 0 if there is none.
size_t Utf8SequenceLength(std::string_view text);
// What is written in place of a byte that is no UTF-8: U+FFFD.
constexpr std::string_view kNotUtf8 = "\xef\xbf\xbd";

class OutputFile {
 public:
  // `path` must live as long as the object. Nothing is opened yet.
  explicit OutputFile(const char* path) : path_(path) {}
  // Removes what was written, unless Commit has succeeded.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Opens a file beside `path`, which does not exist or is an ordinary file.
  // kIoError, and a message with the OS's reason.
  Status Open(ErrorMessage* message);

  // After a failure these do nothing: Commit tells.
  void Put(std::string_view text);
  void PutNumber(uint64_t number);
  void PutHex(uint64_t number);
  // A string literal of JSON that HTML, too, takes for text only: no '<', no
  // '&'. Bytes that are no UTF-8 become U+FFFD.
  void PutJsonString(std::string_view text);

  // Whether something could not be written; whoever has much more to write need
  // not.
  bool has_failed() const { return error_ != 0; }

  // Puts the file in its place, where it replaces an earlier one.
  Status Commit(ErrorMessage* message);

 private:
  void Flush();
  void Close();
  Status Fail(ErrorMessage* message, const char* what, int error);

  const char* const path_;
  int descriptor_ = -1;
  int error_ = 0;          // errno of the first write that failed
  bool is_there_ = false;  // the file under its temporary name
  size_t used_ = 0;        // of buffer_
  char temporary_[PATH_MAX];
  char buffer_[8192];
};

}  // namespace loam

#endif  // LOAM_RUNTIME_OUTPUT_FILE_H_
