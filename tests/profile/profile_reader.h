// Reads a profile that loam_heap_profile_write has written: a small decoder of
// protocol buffers, and of pprof's Profile message. It checks what pprof
// relies on, and fails the test otherwise.

#ifndef LOAM_TESTS_PROFILE_PROFILE_READER_H_
#define LOAM_TESTS_PROFILE_PROFILE_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace loam_test {

struct ProfileFrame {
  std::string function;
  std::string file;
  int64_t line = 0;
  int64_t first_line = 0;
  uint64_t address = 0;
  bool is_mapped = false;  // the address lies in a mapping, which it names
};

struct ProfileSample {
  std::vector<ProfileFrame> frames;  // innermost first
  int64_t alloc_objects = 0, alloc_space = 0;
  int64_t inuse_objects = 0, inuse_space = 0;
  std::string type;
  int64_t bytes = 0;

  bool HasFrame(std::string_view function) const {
    for (const ProfileFrame& frame : frames) {
      if (frame.function.find(function) != std::string::npos) return true;
    }
    return false;
  }
};

// Added up.
struct ProfileTotals {
  int64_t alloc_objects = 0, alloc_space = 0;
  int64_t inuse_objects = 0, inuse_space = 0;
};

class ProfileReader {
 public:
  explicit ProfileReader(const std::string& path);

  std::vector<ProfileSample> samples;
  std::vector<std::string> sample_types;  // "inuse_space/bytes"
  std::string default_sample_type;
  std::string period_type;
  int64_t period = 0;
  int64_t time_nanos = 0;
  std::vector<std::string> comments;
  std::vector<std::string> mapped_files;

  // Of the samples for which `matches` holds.
  ProfileTotals Totals(
      const std::function<bool(const ProfileSample&)>& matches) const;
  ProfileTotals Totals() const {
    return Totals([](const ProfileSample&) { return true; });
  }
  ProfileTotals TotalsOfType(const std::string& type) const {
    return Totals([&](const ProfileSample& s) { return s.type == type; });
  }
};

}  // namespace loam_test

#endif  // LOAM_TESTS_PROFILE_PROFILE_READER_H_
