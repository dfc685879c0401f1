// Reads the data of a heap map's page, strictly enough for tests: values are
// found by their names.

#ifndef LOAM_TESTS_HEAP_MAP_MAP_READER_H_
#define LOAM_TESTS_HEAP_MAP_MAP_READER_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace loam_test {

struct MapClass {
  uint64_t kind, cell_bytes, span_pages, span_cells;
  int64_t type;
  uint64_t spans, pages, cells, in_use;
};
struct MapType {
  std::string name;  // as in JSON, with its escapes
  bool is_named;
  uint64_t objects, bytes;
};

// Codes of the lists of pages; see runtime/heap_map_writer.cc.
enum MapPage { kOutside, kFree, kReleased, kUnavailable, kContinued, kLarge };

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

class MapReader {
 public:
  explicit MapReader(const std::string& path) : page(ReadFile(path)) {
    const std::string begin = "<script type=\"application/json\"";
    const size_t start = page.find('{', page.find(begin));
    const size_t end = page.find("</script>", start);
    EXPECT_NE(start, std::string::npos);
    EXPECT_NE(end, std::string::npos);
    data = page.substr(start, end - start);
    for (const std::string& row : Rows("classes")) {
      const std::vector<int64_t> n = Numbers(row);
      EXPECT_EQ(n.size(), 10u) << row;
      const auto u = [&](size_t i) { return static_cast<uint64_t>(n[i]); };
      classes[u(0)] = {u(1), u(2), u(3), u(4), n[5], u(6), u(7), u(8), u(9)};
    }
    for (const std::string& row : Rows("types")) {
      const size_t name = row.find('"');
      const size_t name_end = row.rfind('"');
      const std::vector<int64_t> n = Numbers(row.substr(name_end + 1));
      EXPECT_EQ(n.size(), 3u) << row;
      types[std::stoull(row)] = {row.substr(name + 1, name_end - name - 1),
                                 n[0] == 1, static_cast<uint64_t>(n[1]),
                                 static_cast<uint64_t>(n[2])};
    }
    for (size_t at = data.find("\"pages\":["); at != std::string::npos;
         at = data.find("\"pages\":[", at + 1)) {
      arenas.push_back(
          Numbers(data.substr(at + 9, data.find(']', at) - at - 9)));
    }
    CountPages();
  }

  uint64_t Number(const std::string& name) const {
    const size_t at = data.find("\"" + name + "\":");
    EXPECT_NE(at, std::string::npos) << name;
    return std::strtoull(data.c_str() + at + name.size() + 3, nullptr, 10);
  }
  const MapType& TypeNamed(const std::string& name) const {
    for (const auto& [id, type] : types) {
      if (type.name == name) return type;
    }
    ADD_FAILURE() << "no type '" << name << "'";
    static const MapType none = {};
    return none;
  }

  std::string page;
  std::string data;  // the JSON object
  std::map<uint64_t, MapClass> classes;
  std::map<uint64_t, MapType> types;
  std::vector<std::vector<int64_t>> arenas;
  // In the lists: pages by code (kLarge: in spans), and spans by their state.
  std::map<int, uint64_t> pages;
  std::map<int, uint64_t> spans_by_state;

 private:
  // The lines of a list, each of which is a list.
  std::vector<std::string> Rows(const std::string& name) const {
    std::vector<std::string> rows;
    size_t at = data.find("\"" + name + "\":[");
    EXPECT_NE(at, std::string::npos) << name;
    at = data.find('[', at) + 1;
    if (data[at] == ']') return rows;
    for (bool is_last = false; !is_last;) {
      // A line is "[1,2]," and the last one "[1,2]],": no string of the data
      // holds a line's end.
      at = data.find('[', at) + 1;
      const size_t line_end = data.find('\n', at);
      std::string row = data.substr(at, line_end - at);
      is_last = row.find("]]", row.size() - 3) != std::string::npos;
      row.resize(row.find(']', row.size() - 3));
      rows.push_back(row);
      at = line_end;
    }
    return rows;
  }
  static std::vector<int64_t> Numbers(const std::string& list) {
    std::vector<int64_t> numbers;
    const char* at = list.c_str();
    while (*at != '\0') {
      char* end;
      const int64_t number = std::strtoll(at, &end, 10);
      if (end == at) {
        at++;
      } else {
        numbers.push_back(number);
        at = end;
      }
    }
    return numbers;
  }
  void CountPages() {
    for (const std::vector<int64_t>& list : arenas) {
      uint64_t total = 0;
      for (size_t i = 0; i < list.size();) {
        const int64_t code = list[i];
        uint64_t count = 0;
        int what = kLarge;
        if (code < kLarge) {
          count = static_cast<uint64_t>(list[i + 1]);
          if (code != kContinued) what = static_cast<int>(code);
          i += 2;
        } else if (code == kLarge) {
          count = static_cast<uint64_t>(list[i + 1]);
          spans_by_state[static_cast<int>(list[i + 4])]++;
          i += 6;
        } else {
          const auto found = classes.find(static_cast<uint64_t>(code - 6));
          ASSERT_NE(found, classes.end()) << code;
          const auto spans = static_cast<uint64_t>(list[i + 3]);
          count = spans * found->second.span_pages;
          spans_by_state[static_cast<int>(list[i + 2])] += spans;
          i += 4;
        }
        // A span may go on in the next arena.
        ASSERT_LT(total, 8192u);
        count = std::min<uint64_t>(count, 8192 - total);
        pages[what] += count;
        total += count;
      }
      // Less where a span goes on in the next arena.
      EXPECT_EQ(total, 8192u);
    }
  }
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MAP_MAP_READER_H_
