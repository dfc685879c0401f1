// A visitor that writes down what it is given.

#ifndef LOAM_TESTS_GC_RECORDING_VISITOR_H_
#define LOAM_TESTS_GC_RECORDING_VISITOR_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/gc/visitor.h"
#include "runtime/heap/word_kind.h"

namespace loam {

struct Visited {
  WordKind kind;
  uintptr_t word;

  bool operator==(const Visited&) const = default;
  bool operator<(const Visited& other) const {
    return std::tie(kind, word) < std::tie(other.kind, other.word);
  }
};
inline void PrintTo(const Visited& visited, std::ostream* out) {
  *out << "kind " << static_cast<int>(visited.kind) << " word " << visited.word;
}

class RecordingVisitor final : public loam_visitor {
 public:
  void VisitValue(uintptr_t word) override { Add(WordKind::kValue, word); }
  void VisitPointer(uintptr_t address) override {
    Add(WordKind::kPointer, address);
  }
  void VisitAmbiguous(uintptr_t word) override {
    Add(WordKind::kAmbiguous, word);
  }
  void EnterRoot(const char* kind, const char* name) override {
    root_ = kind;
    if (name != nullptr) root_ += std::string(" ") + name;
  }

  // Everything but words of zero, in order.
  const std::vector<Visited>& visited() const { return visited_; }
  std::vector<Visited> sorted() const {
    std::vector<Visited> copy = visited_;
    std::sort(copy.begin(), copy.end());
    return copy;
  }
  std::vector<uintptr_t> words() const {
    std::vector<uintptr_t> words;
    for (const Visited& v : visited_) words.push_back(v.word);
    return words;
  }
  std::vector<uintptr_t> sorted_words() const {
    std::vector<uintptr_t> copy = words();
    std::sort(copy.begin(), copy.end());
    return copy;
  }
  // The root that the i-th word belonged to: "kind name".
  const std::string& root(size_t i) const { return roots_[i]; }

 private:
  void Add(WordKind kind, uintptr_t word) {
    if (word == 0) return;
    visited_.push_back({kind, word});
    roots_.push_back(root_);
  }

  std::vector<Visited> visited_;
  std::vector<std::string> roots_;
  std::string root_;
};

}  // namespace loam

#endif  // LOAM_TESTS_GC_RECORDING_VISITOR_H_
