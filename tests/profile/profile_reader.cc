#include "tests/profile/profile_reader.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

namespace loam_test {
namespace {

// Calls field(number, value, bytes) for each field of a message.
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  // False at the end.
  bool Next() {
    if (rest_.empty()) return false;
    const uint64_t tag = Varint();
    field = static_cast<int>(tag >> 3);
    number = 0;
    bytes = {};
    switch (tag & 7) {
      case 0:
        number = static_cast<int64_t>(Varint());
        return true;
      case 2: {
        const uint64_t length = Varint();
        EXPECT_LE(length, rest_.size());
        bytes = rest_.substr(0, length);
        rest_.remove_prefix(bytes.size());
        return true;
      }
      default:
        ADD_FAILURE() << "wire type " << (tag & 7);
        return false;
    }
  }

  int field = 0;
  int64_t number = 0;
  std::string_view bytes;

 private:
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    ADD_FAILURE() << "a number does not end";
    return value;
  }

  std::string_view rest_;
};

// A message as numbers of its fields; of repeated ones, all.
using Fields = std::map<int, std::vector<int64_t>>;
Fields NumbersOf(std::string_view bytes) {
  Fields fields;
  Message message(bytes);
  while (message.Next()) fields[message.field].push_back(message.number);
  return fields;
}
int64_t One(const Fields& fields, int field) {
  const auto found = fields.find(field);
  return found == fields.end() ? 0 : found->second.at(0);
}

struct Mapping {
  uint64_t begin, end;
};
struct Location {
  int64_t mapping, address, function, line;
};

}  // namespace

ProfileReader::ProfileReader(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  const std::string content((std::istreambuf_iterator<char>(file)), {});

  std::vector<std::string> strings;
  std::vector<std::string_view> raw_samples, raw_types;
  std::string_view raw_period_type;
  std::map<int64_t, Fields> functions;
  std::map<int64_t, Location> locations;
  std::map<int64_t, Mapping> mappings;
  std::vector<int64_t> comment_strings, file_strings;
  int64_t default_type = 0;
  Message profile(content);
  while (profile.Next()) {
    switch (profile.field) {
      case 1:
        raw_types.push_back(profile.bytes);
        break;
      case 2:
        raw_samples.push_back(profile.bytes);
        break;
      case 3: {
        const Fields fields = NumbersOf(profile.bytes);
        const auto begin = static_cast<uint64_t>(One(fields, 2));
        const auto end = static_cast<uint64_t>(One(fields, 3));
        EXPECT_LT(begin, end);
        EXPECT_TRUE(mappings.insert({One(fields, 1), {begin, end}}).second);
        file_strings.push_back(One(fields, 5));
        break;
      }
      case 4: {
        Location location = {};
        int64_t id = 0;
        Message message(profile.bytes);
        while (message.Next()) {
          if (message.field == 1) id = message.number;
          if (message.field == 2) location.mapping = message.number;
          if (message.field == 3) location.address = message.number;
          if (message.field == 4) {
            const Fields line = NumbersOf(message.bytes);
            location.function = One(line, 1);
            location.line = One(line, 2);
          }
        }
        EXPECT_NE(id, 0);
        EXPECT_TRUE(locations.insert({id, location}).second);
        break;
      }
      case 5: {
        Fields fields = NumbersOf(profile.bytes);
        const int64_t id = One(fields, 1);
        EXPECT_NE(id, 0);
        EXPECT_TRUE(functions.insert({id, std::move(fields)}).second);
        break;
      }
      case 6:
        strings.emplace_back(profile.bytes);
        break;
      case 9:
        time_nanos = profile.number;
        break;
      case 11:
        raw_period_type = profile.bytes;
        break;
      case 12:
        period = profile.number;
        break;
      case 13:
        comment_strings.push_back(profile.number);
        break;
      case 14:
        default_type = profile.number;
        break;
      default:
        ADD_FAILURE() << "field " << profile.field;
    }
  }

  EXPECT_EQ(strings.empty() ? "none" : strings[0], "");
  EXPECT_EQ(std::set<std::string>(strings.begin(), strings.end()).size(),
            strings.size())
      << "a string is there twice";
  const auto string = [&](int64_t index) {
    EXPECT_LT(static_cast<uint64_t>(index), strings.size());
    return static_cast<uint64_t>(index) < strings.size()
               ? strings[static_cast<size_t>(index)]
               : "";
  };
  const auto value_type = [&](std::string_view bytes) {
    const Fields fields = NumbersOf(bytes);
    return string(One(fields, 1)) + "/" + string(One(fields, 2));
  };
  for (const std::string_view type : raw_types) {
    sample_types.push_back(value_type(type));
  }
  period_type = value_type(raw_period_type);
  default_sample_type = string(default_type);
  for (const int64_t comment : comment_strings) {
    comments.push_back(string(comment));
  }
  for (const int64_t mapped : file_strings) {
    mapped_files.push_back(string(mapped));
  }

  for (const std::string_view raw : raw_samples) {
    ProfileSample sample;
    std::vector<int64_t> values;
    Message message(raw);
    while (message.Next()) {
      if (message.field == 1) {
        const auto found = locations.find(message.number);
        if (found == locations.end()) {
          ADD_FAILURE() << "no location " << message.number;
          continue;
        }
        const Location& location = found->second;
        ProfileFrame frame;
        frame.address = static_cast<uint64_t>(location.address);
        frame.line = location.line;
        if (location.function != 0) {
          const auto function = functions.find(location.function);
          if (function == functions.end()) {
            ADD_FAILURE() << "no function " << location.function;
            continue;
          }
          frame.function = string(One(function->second, 2));
          frame.file = string(One(function->second, 4));
          frame.first_line = One(function->second, 5);
        }
        if (location.mapping != 0) {
          const auto mapping = mappings.find(location.mapping);
          EXPECT_TRUE(mapping != mappings.end() &&
                      frame.address >= mapping->second.begin &&
                      frame.address < mapping->second.end);
          frame.is_mapped = true;
        }
        sample.frames.push_back(frame);
      } else if (message.field == 2) {
        values.push_back(message.number);
      } else if (message.field == 3) {
        const Fields label = NumbersOf(message.bytes);
        const std::string key = string(One(label, 1));
        if (key == "type") sample.type = string(One(label, 2));
        if (key == "bytes") {
          sample.bytes = One(label, 3);
          EXPECT_EQ(string(One(label, 4)), "bytes");
        }
      }
    }
    EXPECT_EQ(values.size(), sample_types.size());
    EXPECT_FALSE(sample.frames.empty());
    if (values.size() != 4) continue;
    sample.alloc_objects = values[0];
    sample.alloc_space = values[1];
    sample.inuse_objects = values[2];
    sample.inuse_space = values[3];
    EXPECT_GE(sample.inuse_objects, 0);
    EXPECT_LE(sample.inuse_objects, sample.alloc_objects);
    EXPECT_LE(sample.inuse_space, sample.alloc_space);
    samples.push_back(sample);
  }
}

ProfileTotals ProfileReader::Totals(
    const std::function<bool(const ProfileSample&)>& matches) const {
  ProfileTotals totals;
  for (const ProfileSample& sample : samples) {
    if (!matches(sample)) continue;
    totals.alloc_objects += sample.alloc_objects;
    totals.alloc_space += sample.alloc_space;
    totals.inuse_objects += sample.inuse_objects;
    totals.inuse_space += sample.inuse_space;
  }
  return totals;
}

}  // namespace loam_test
