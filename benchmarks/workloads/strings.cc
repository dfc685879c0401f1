// Strings: lines of words are put together by repeated concatenation, each time
// into a new string; split into a list of words; and joined again by a rope, a
// tree of concatenations that is flattened once. The latest lines stay with
// their lists and strings, so most strings die at once and some at a certain
// age. Nearly all bytes are in strings of 8 to 512 bytes, which no collector
// scans.
//
// Strings are written whole by the program; loam zeroes them before, the others
// do not. malloc frees each string, list and rope where it has no more use. The
// heap of collectors has a fixed size, a multiple of what is alive.

#include <algorithm>
#include <cstring>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/workloads/heap_string.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, lines, 250'000, "to make");
ABSL_FLAG(int, window, 50'000, "lines that are kept");

using benchmarks::NewString;
using benchmarks::String;

struct Line {
  peer::Member<String> text;
  uint64_t words;
};
PEER_ARRAY_LAYOUT(Line, peer::Member<String>, text);

// A leaf has a string, other nodes have two ropes.
struct Rope {
  peer::Member<Rope> left;
  peer::Member<Rope> right;
  peer::Member<String> leaf;
  uint64_t length;
};
PEER_LAYOUT(Rope, left, right, leaf);

struct Window {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Window, peer::Member<Line>);

namespace {

constexpr size_t kFewestWords = 2;
constexpr size_t kMostWords = 30;
constexpr size_t kShortestWord = 1;
constexpr size_t kLongestWord = 15;
// Its text, 16 words of 16 bytes, and references to them, on average.
constexpr size_t kLiveBytesPerLine = 160 + 16 * 16 + 160 + 8;

struct Types {
  explicit Types(peer::Heap& heap) : line(heap), rope(heap), window(heap) {}
  peer::Type<Line> line;
  peer::Type<Rope> rope;
  peer::Type<Window> window;
};

class Work {
 public:
  Work(const peer::Thread& thread, const Types& types, size_t window)
      : thread_(thread),
        types_(types),
        window_(thread, types.window.NewArray(thread, window)) {
    window_->count = window;
  }

  uint64_t Run(size_t lines) {
    for (size_t i = 0; i < lines; i++) {
      peer::Local<String> text(thread_, Compose());
      peer::Local<Line> line(thread_, Split(text));
      line->text.Set(thread_, line, Join(line));
      checksum_ += Same(text, line->text) ? text->length : 0;
      peer::Free(text);
      auto& place = peer::Elements(window_.get())[i % window_->count];
      Free(place);
      place.Set(thread_, window_, line);
    }
    for (size_t i = 0; i < window_->count; i++) {
      Line* const line = peer::Elements(window_.get())[i];
      if (line == nullptr) continue;
      for (size_t j = 0; j < line->words; j++) {
        checksum_ +=
            static_cast<uint64_t>(peer::Elements(line)[j]->letters()[0]);
      }
    }
    return checksum_;
  }

 private:
  // Words and a blank behind each, one concatenation after the other.
  String* Compose() {
    const size_t words =
        kFewestWords + random_.Below(kMostWords - kFewestWords + 1);
    peer::Local<String> text(thread_, NewString(thread_, 0));
    for (size_t i = 0; i < words; i++) {
      const uint64_t bits = random_.Next();
      const size_t length =
          kShortestWord + (bits >> 32) % (kLongestWord - kShortestWord + 1);
      String* const longer = NewString(thread_, text->length + length + 1);
      char* end = std::copy_n(text->letters(), text->length, longer->letters());
      for (size_t j = 0; j < length; j++) {
        *end++ = static_cast<char>('a' + ((bits >> (2 * j)) & 15));
      }
      *end = ' ';
      peer::Free(text);
      text = longer;
    }
    return text;
  }

  // The words, without blanks.
  Line* Split(const peer::Local<String>& text) {
    const auto words = static_cast<size_t>(
        std::count(text->letters(), text->letters() + text->length, ' '));
    peer::Local<Line> line(thread_, types_.line.NewArray(thread_, words));
    line->words = words;
    size_t start = 0;
    for (size_t i = 0; i < words; i++) {
      size_t end = start;
      while (text->letters()[end] != ' ') end++;
      String* const word = NewString(thread_, end - start);
      std::memcpy(word->letters(), text->letters() + start, end - start);
      peer::Elements(line.get())[i].Set(thread_, line, word);
      start = end + 1;
    }
    return line;
  }

  // The words with a blank behind each.
  String* Join(const peer::Local<Line>& line) {
    peer::Local<Rope> rope(thread_, RopeOf(line, 0, line->words));
    String* const text = NewString(thread_, rope->length);
    Flatten(rope, text->letters());
    FreeRope(rope);
    return text;
  }

  Rope* RopeOf(const peer::Local<Line>& line, size_t from, size_t to) {
    peer::Local<Rope> rope(thread_, types_.rope.New(thread_));
    if (to - from == 1) {
      String* const word = peer::Elements(line.get())[from];
      rope->leaf.Set(thread_, rope, word);
      rope->length = word->length + 1;
    } else {
      const size_t middle = from + (to - from) / 2;
      rope->left.Set(thread_, rope, RopeOf(line, from, middle));
      rope->right.Set(thread_, rope, RopeOf(line, middle, to));
      rope->length = rope->left->length + rope->right->length;
    }
    return rope;
  }

  static char* Flatten(const Rope* rope, char* to) {
    if (rope->leaf == nullptr) {
      return Flatten(rope->right, Flatten(rope->left, to));
    }
    to = std::copy_n(rope->leaf->letters(), rope->leaf->length, to);
    *to = ' ';
    return to + 1;
  }

  static bool Same(String* a, String* b) {
    return a->length == b->length &&
           std::memcmp(a->letters(), b->letters(), a->length) == 0;
  }

  static void FreeRope(Rope* rope) {
    if (peer::kCollects || rope == nullptr) return;
    FreeRope(rope->left);
    FreeRope(rope->right);
    peer::Free(rope);
  }
  static void Free(Line* line) {
    if (peer::kCollects || line == nullptr) return;
    for (size_t i = 0; i < line->words; i++)
      peer::Free(peer::Elements(line)[i]);
    peer::Free(line->text);
    peer::Free(line);
  }

  const peer::Thread& thread_;
  const Types& types_;
  benchmarks::Random random_{1};
  peer::Local<Window> window_;
  uint64_t checksum_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const auto window = static_cast<size_t>(absl::GetFlag(FLAGS_window));
  benchmarks::WorkloadRun run(static_cast<double>(window * kLiveBytesPerLine));
  const Types types(run.heap());
  run.Time([&] {
    return Work(run.thread(), types, window)
        .Run(static_cast<size_t>(absl::GetFlag(FLAGS_lines)));
  });
  run.Print();
  return 0;
}
