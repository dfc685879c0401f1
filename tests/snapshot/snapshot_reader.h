// Reads a heap snapshot, strictly: what the format's readers would accept and
// more is a failure of the test.

#ifndef LOAM_TESTS_SNAPSHOT_SNAPSHOT_READER_H_
#define LOAM_TESTS_SNAPSHOT_SNAPSHOT_READER_H_

#include <gtest/gtest.h>

#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <unordered_set>
#include <vector>

namespace loam_test {

struct SnapshotEdge {
  uint32_t type;
  uint32_t name_or_index;
  size_t to;  // a node
};

struct SnapshotNode {
  std::string type;
  std::string name;
  uint64_t id;
  uint64_t bytes;
  size_t first_edge, edge_end;
};

class SnapshotReader {
 public:
  explicit SnapshotReader(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    text_.assign(std::istreambuf_iterator<char>(file), {});
    Read();
  }

  std::vector<SnapshotNode> nodes;
  std::vector<SnapshotEdge> edges;
  uint64_t node_count = 0, edge_count = 0;  // as the header says
  size_t file_bytes() const { return text_.size(); }

  // As ModelSlot::edge: the type, and the name or index.
  std::string Text(const SnapshotEdge& edge) const {
    const std::string& type = edge_types_[edge.type];
    const bool is_index = type == "element" || type == "hidden";
    return type + " " +
           (is_index ? std::to_string(edge.name_or_index)
                     : strings_.at(edge.name_or_index));
  }

  // What the node's edge of this type and name leads to; SIZE_MAX: none.
  size_t Follow(size_t node, const std::string& edge) const {
    for (size_t e = nodes[node].first_edge; e < nodes[node].edge_end; e++) {
      if (Text(edges[e]) == edge) return edges[e].to;
    }
    return SIZE_MAX;
  }
  // The node's first child with such a name; SIZE_MAX: none.
  size_t Child(size_t node, const std::string& name) const {
    for (size_t e = nodes[node].first_edge; e < nodes[node].edge_end; e++) {
      if (nodes[edges[e].to].name == name) return edges[e].to;
    }
    return SIZE_MAX;
  }
  size_t CountNamed(const std::string& name) const {
    size_t count = 0;
    for (const SnapshotNode& node : nodes) count += node.name == name;
    return count;
  }
  // How many nodes the root reaches without weak edges.
  size_t CountReachable() const {
    std::vector<bool> reached(nodes.size());
    std::vector<size_t> stack = {0};
    reached[0] = true;
    size_t count = 0;
    while (!stack.empty()) {
      const SnapshotNode& node = nodes[stack.back()];
      stack.pop_back();
      count++;
      for (size_t e = node.first_edge; e < node.edge_end; e++) {
        if (edge_types_[edges[e].type] == "weak" || reached[edges[e].to])
          continue;
        reached[edges[e].to] = true;
        stack.push_back(edges[e].to);
      }
    }
    return count;
  }

 private:
  static constexpr size_t kNodeFields = 7;

  void Read() {
    Expect(
        "{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\","
        "\"self_size\",\"edge_count\",\"trace_node_id\",\"detachedness\"],"
        "\"node_types\":[");
    const std::vector<std::string> node_types = Strings();
    SkipTo(
        "\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],"
        "\"edge_types\":[");
    edge_types_ = Strings();
    SkipTo("},\"node_count\":");
    node_count = Number();
    Expect(",\"edge_count\":");
    edge_count = Number();
    Expect(",\"trace_function_count\":0},\n\"nodes\":");
    const std::vector<uint64_t> node_numbers = Numbers();
    Expect(",\n\"edges\":");
    const std::vector<uint64_t> edge_numbers = Numbers();
    Expect(
        ",\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n"
        "\"samples\":[],\n\"locations\":[],\n\"strings\":");
    strings_ = Strings();
    Expect("}\n");
    EXPECT_EQ(at_, text_.size());
    if (testing::Test::HasFailure()) return;

    ASSERT_EQ(node_numbers.size(), node_count * kNodeFields);
    ASSERT_EQ(edge_numbers.size(), edge_count * 3);
    EXPECT_EQ(std::unordered_set<std::string>(strings_.begin(), strings_.end())
                  .size(),
              strings_.size());
    size_t edge = 0;
    for (size_t i = 0; i < node_numbers.size(); i += kNodeFields) {
      const uint64_t* n = &node_numbers[i];
      EXPECT_EQ(n[5] + n[6], 0u);
      EXPECT_LT(n[2], uint64_t{1} << 32) << "readers keep 32 bits";
      nodes.push_back({node_types.at(n[0]), strings_.at(n[1]), n[2], n[3], edge,
                       edge + n[4]});
      edge += n[4];
    }
    EXPECT_EQ(edge, edge_count);
    for (size_t i = 0; i < edge_numbers.size(); i += 3) {
      const uint64_t* n = &edge_numbers[i];
      ASSERT_EQ(n[2] % kNodeFields, 0u);
      ASSERT_LT(n[2] / kNodeFields, nodes.size());
      ASSERT_LT(n[0], edge_types_.size());
      edges.push_back({static_cast<uint32_t>(n[0]), static_cast<uint32_t>(n[1]),
                       n[2] / kNodeFields});
    }
  }

  void Expect(const std::string& expected) {
    EXPECT_EQ(text_.substr(at_, expected.size()), expected) << "at " << at_;
    at_ += expected.size();
  }
  void SkipTo(const std::string& expected) {
    at_ = text_.find(expected, at_);
    ASSERT_NE(at_, std::string::npos) << expected;
    at_ += expected.size();
  }
  uint64_t Number() {
    uint64_t number = 0;
    const char* begin = text_.data() + at_;
    const auto result =
        std::from_chars(begin, text_.data() + text_.size(), number);
    EXPECT_NE(result.ptr, begin) << "no number at " << at_;
    at_ += static_cast<size_t>(result.ptr - begin);
    return number;
  }
  char Next() { return at_ < text_.size() ? text_[at_++] : '\0'; }
  // Calls item() for each item of a list, with the position at its start.
  template <typename Item>
  void List(Item&& item) {
    ASSERT_EQ(Next(), '[');
    if (text_[at_] == ' ') at_++;
    if (text_[at_] == ']') {
      at_++;
      return;
    }
    for (;;) {
      item();
      if (text_[at_] == '\n') at_++;
      const char after = Next();
      if (after == ']') return;
      ASSERT_EQ(after, ',') << "at " << at_;
      if (text_[at_] == '\n') at_++;
    }
  }
  std::vector<uint64_t> Numbers() {
    std::vector<uint64_t> numbers;
    List([&] { numbers.push_back(Number()); });
    return numbers;
  }
  std::vector<std::string> Strings() {
    std::vector<std::string> strings;
    List([&] { strings.push_back(String()); });
    return strings;
  }
  std::string String() {
    std::string string;
    EXPECT_EQ(Next(), '"');
    for (char c = Next(); c != '"'; c = Next()) {
      EXPECT_GE(static_cast<unsigned char>(c), 0x20) << "at " << at_;
      if (c == '\0') return string;
      if (c == '\\') {
        EXPECT_EQ(Next(), 'u');
        unsigned code = 0;
        std::from_chars(&text_[at_], &text_[at_ + 4], code, 16);
        at_ += 4;
        string += code < 0x80 ? static_cast<char>(code) : '?';
      } else {
        string += c;
      }
    }
    return string;
  }

  std::string text_;
  size_t at_ = 0;
  std::vector<std::string> edge_types_;
  std::vector<std::string> strings_;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_SNAPSHOT_SNAPSHOT_READER_H_
