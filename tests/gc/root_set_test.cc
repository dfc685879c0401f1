#include "runtime/gc/root_set.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/base/test_random.h"
#include "tests/gc/recording_visitor.h"

namespace loam {
namespace {

using Words = std::vector<uintptr_t>;

// Visits the word that `data` points to.
void Provide(loam_visitor* visitor, void* data) {
  visitor->VisitPointer(*static_cast<uintptr_t*>(data));
}

class RootSetTest : public testing::Test {
 protected:
  RecordingVisitor VisitHeap() {
    RecordingVisitor visitor;
    roots_.VisitHeapRoots(&visitor);
    return visitor;
  }
  Words HeapWords() { return VisitHeap().sorted_words(); }

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  RootSet roots_{&persistent_};
};

TEST_F(RootSetTest, EmptySet) { EXPECT_TRUE(HeapWords().empty()); }

TEST_F(RootSetTest, RegisteredWordsAreVisitedByKind) {
  uintptr_t values[] = {1, 2, 3};
  uintptr_t pointer = 4;
  uintptr_t ambiguous = 5;
  RootRecord* record =
      roots_.AddWords(values, 3, WordKind::kValue, "constants");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->set, &roots_);
  ASSERT_NE(roots_.AddWords(&pointer, 1, WordKind::kPointer, nullptr), nullptr);
  ASSERT_NE(roots_.AddWords(&ambiguous, 1, WordKind::kAmbiguous, "regs"),
            nullptr);
  const RecordingVisitor visitor = VisitHeap();
  EXPECT_EQ(visitor.sorted(),
            (std::vector<Visited>{{WordKind::kValue, 1},
                                  {WordKind::kValue, 2},
                                  {WordKind::kValue, 3},
                                  {WordKind::kPointer, 4},
                                  {WordKind::kAmbiguous, 5}}));
  for (size_t i = 0; i < 5; i++) {
    const uintptr_t word = visitor.words()[i];
    EXPECT_EQ(visitor.root(i), word <= 3   ? "registered root constants"
                               : word == 4 ? "registered root "
                                           : "registered root regs");
  }
  values[1] = 22;  // Read when visited.
  EXPECT_EQ(HeapWords(), (Words{1, 3, 4, 5, 22}));
  roots_.Remove(record);
  EXPECT_EQ(HeapWords(), (Words{4, 5}));
}

TEST_F(RootSetTest, LongNamesAreCut) {
  uintptr_t word = 7;
  const std::string name = "0123456789012345678901234567890123456789abcdef";
  RootRecord* record =
      roots_.AddWords(&word, 1, WordKind::kValue, name.c_str());
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(std::string(record->name), name.substr(0, 39));
  EXPECT_EQ(VisitHeap().root(0), "registered root " + name.substr(0, 39));
}

TEST_F(RootSetTest, ProvidersAreCalled) {
  uintptr_t word = 11;
  RootRecord* record = roots_.AddProvider(Provide, &word, "stack", nullptr);
  ASSERT_NE(record, nullptr);
  const RecordingVisitor visitor = VisitHeap();
  EXPECT_EQ(visitor.visited(),
            (std::vector<Visited>{{WordKind::kPointer, 11}}));
  EXPECT_EQ(visitor.root(0), "provider stack");
  roots_.Remove(record);
  EXPECT_TRUE(HeapWords().empty());
}

void Throw(loam_visitor*, void*) { throw std::runtime_error("in provider"); }

TEST_F(RootSetTest, ExceptionInAProviderIsFatal) {
  ASSERT_NE(roots_.AddProvider(Throw, nullptr, "bad", nullptr), nullptr);
  EXPECT_DEATH(HeapWords(), "an exception left a root provider: in provider");
}

TEST_F(RootSetTest, Globals) {
  GlobalRecord* a = roots_.AddGlobal(WordKind::kValue, 1);
  GlobalRecord* b = roots_.AddGlobal(WordKind::kPointer, 2);
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(
      VisitHeap().sorted(),
      (std::vector<Visited>{{WordKind::kValue, 1}, {WordKind::kPointer, 2}}));
  EXPECT_EQ(VisitHeap().root(0), "global");
  a->word.store(10);
  EXPECT_EQ(HeapWords(), (Words{2, 10}));
  roots_.RemoveGlobal(a);
  EXPECT_EQ(HeapWords(), (Words{2}));
  roots_.RemoveGlobal(b);
  EXPECT_TRUE(HeapWords().empty());
}

TEST_F(RootSetTest, RandomAddsAndRemovesAgreeWithAModel) {
  TestRandom random;
  SCOPED_TRACE(random.Describe());
  struct Word {
    uintptr_t word;
    RootRecord* record;
    GlobalRecord* global;
  };
  std::vector<std::unique_ptr<Word>> model;
  uintptr_t next = 1;
  for (int i = 0; i < 3000 && !HasFailure(); i++) {
    if (model.empty() || random.Below(100) < 52) {
      model.push_back(std::make_unique<Word>(Word{next++, nullptr, nullptr}));
      Word* word = model.back().get();
      switch (random.Below(3)) {
        case 0:
          word->record = roots_.AddWords(&word->word, 1, WordKind::kValue, "w");
          break;
        case 1:
          word->record = roots_.AddProvider(Provide, &word->word, "p", nullptr);
          break;
        default:
          word->global = roots_.AddGlobal(WordKind::kValue, word->word);
      }
      ASSERT_TRUE(word->record != nullptr || word->global != nullptr);
    } else {
      std::swap(model[random.Below(model.size())], model.back());
      if (model.back()->record != nullptr) {
        roots_.Remove(model.back()->record);
      } else {
        roots_.RemoveGlobal(model.back()->global);
      }
      model.pop_back();
    }
    if (i % 20 != 0) continue;
    Words expected;
    for (const auto& word : model) expected.push_back(word->word);
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(HeapWords(), expected);
  }
}

TEST_F(RootSetTest, ImmortalsAcrossBlocks) {
  Words expected;
  for (uintptr_t i = 1; i <= 1000; i++) {
    ASSERT_TRUE(roots_.AddImmortal(i));
    expected.push_back(i);
    if (i < 3 || (i >= 253 && i <= 258) || i % 100 == 0) {
      ASSERT_EQ(HeapWords(), expected);
    }
  }
  EXPECT_EQ(VisitHeap().root(0), "immortal object");
}

TEST_F(RootSetTest, OutOfMemory) {
  uintptr_t word = 1;
  ledger_.set_limit(0);
  EXPECT_EQ(roots_.AddWords(&word, 1, WordKind::kValue, "w"), nullptr);
  EXPECT_EQ(roots_.AddProvider(Provide, &word, "p", nullptr), nullptr);
  EXPECT_EQ(roots_.AddGlobal(WordKind::kValue, 1), nullptr);
  EXPECT_EQ(roots_.AddFiber(0), nullptr);
  EXPECT_EQ(roots_.TakeHandleBlock(), nullptr);
  EXPECT_FALSE(roots_.AddImmortal(1));
  EXPECT_TRUE(HeapWords().empty());
  ledger_.set_limit(UINT64_MAX);
  EXPECT_NE(roots_.AddGlobal(WordKind::kValue, 1), nullptr);
  EXPECT_EQ(HeapWords(), (Words{1}));
}

TEST_F(RootSetTest, MutatorRoots) {
  MutatorRoots mutator;
  uintptr_t provided = 3;
  ASSERT_NE(roots_.AddProvider(Provide, &provided, "vm", &mutator.providers),
            nullptr);
  ASSERT_NE(mutator.own_stack.NewHandle(
                &roots_, 4, static_cast<uintptr_t>(WordKind::kValue)),
            nullptr);
  EXPECT_TRUE(HeapWords().empty()) << "they are not the heap's";
  RecordingVisitor visitor;
  roots_.VisitMutatorRoots(mutator, &visitor);
  EXPECT_EQ(visitor.sorted_words(), (Words{3, 4}));
  // One provider may be removed by itself, all go with the mutator.
  RootRecord* second =
      roots_.AddProvider(Provide, &provided, "vm2", &mutator.providers);
  ASSERT_NE(second, nullptr);
  roots_.Remove(second);
  ASSERT_NE(mutator.providers, nullptr);
  roots_.ReleaseMutator(&mutator);
  EXPECT_EQ(mutator.providers, nullptr);
  RecordingVisitor none;
  roots_.VisitMutatorRoots(mutator, &none);
  EXPECT_TRUE(none.visited().empty());
}

}  // namespace
}  // namespace loam
