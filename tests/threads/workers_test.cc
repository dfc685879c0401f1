// Threads that help to mark: the same heap whatever their number.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>

#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

constexpr size_t kNodes = kSanitized ? 60'000 : 300'000;

loam_options Workers(uint32_t count) {
  loam_options options = TestOptions();
  options.workers = count;
  return options;
}

// A binary tree of `count` nodes, numbered from `first`, rooted by a frame
// while it is made.
Node* MakeTree(loam_mutator* m, const loam_type* type, size_t count,
               uint64_t first) {
  if (count == 0) return nullptr;
  LOAM_FRAME(m, f, 1, LOAM_POINTER);
  Node* node = NewNode(m, type, first);
  f.slots[0] = reinterpret_cast<loam_word>(node);
  const size_t left = (count - 1) / 2;
  loam_store_pointer(m, node, &node->left, MakeTree(m, type, left, first + 1));
  loam_store_pointer(m, node, &node->right,
                     MakeTree(m, type, count - 1 - left, first + 1 + left));
  LOAM_FRAME_END(f);
  return node;
}

bool IsTree(const Node* node, size_t count, uint64_t first) {
  if (count == 0) return node == nullptr;
  const size_t left = (count - 1) / 2;
  return node != nullptr && node->number == first &&
         IsTree(node->left, left, first + 1) &&
         IsTree(node->right, count - 1 - left, first + 1 + left);
}

TEST(WorkersTest, AnyNumberOfThemMarksTheSame) {
  for (const uint32_t workers : {0, 1, 3, 15}) {
    SCOPED_TRACE(workers);
    TestHeap heap(Workers(workers));
    const loam_type* type = RegisterNode(heap.types());
    heap.kept.push_back(MakeTree(heap.m(), type, kNodes, 1));
    for (int i = 0; i < 5; i++) {
      (void)MakeTree(heap.m(), type, 1000, 0);
      heap.Collect();
      EXPECT_EQ(heap.Stats().live_objects, kNodes);
    }
    EXPECT_TRUE(IsTree(static_cast<Node*>(heap.kept[0]), kNodes, 1));
  }
}

// Checked heaps call in their workers at once, so small ones do too.
TEST(WorkersTest, TheVerifierAgrees) {
  loam_options options = Workers(3);
  options.check.verify_marking = 1;
  options.check.stress_interval = 1009;
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  heap.kept.push_back(MakeTree(heap.m(), type, 20'000, 1));
  heap.Collect();
  EXPECT_GT(heap.Stats().cycles, 10u);
  EXPECT_TRUE(IsTree(static_cast<Node*>(heap.kept[0]), 20'000, 1));
}

// Trace callbacks run on the workers' threads too.
TEST(WorkersTest, TraceCallbacksRunInParallel) {
  static std::atomic<uint64_t> calls;
  calls = 0;
  TestHeap heap(Workers(3));
  loam_type_info info = loam_type_info_init();
  info.name = "traced";
  info.size = sizeof(Node);
  info.trace = [](loam_visitor* visitor, void* object, size_t) {
    calls.fetch_add(1, std::memory_order_relaxed);
    loam_visit_pointer(visitor, static_cast<Node*>(object)->left);
    loam_visit_pointer(visitor, static_cast<Node*>(object)->right);
  };
  const loam_type* type = nullptr;
  ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
  heap.kept.push_back(MakeTree(heap.m(), type, kNodes, 1));
  calls = 0;
  heap.Collect();
  EXPECT_EQ(calls.load(), kNodes);
  EXPECT_EQ(heap.Stats().live_objects, kNodes);
}

// What goes wrong there is told like anything else: message, state, callback.
TEST(WorkersTest, ABugInACallbackOnAWorkerIsReported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fail = [] {
    static std::thread::id collecting;
    collecting = std::this_thread::get_id();
    loam_options options = Workers(3);
    options.name = "with workers";
    options.check.verify_marking = 1;
    options.callbacks.fatal = [](loam_heap*, const char*, void*) {
      fputs("listener heard of it\n", stderr);
    };
    TestHeap heap(options);
    loam_type_info info = loam_type_info_init();
    info.name = "throws";
    info.size = sizeof(Node);
    info.trace = [](loam_visitor* visitor, void* object, size_t) {
      if (std::this_thread::get_id() != collecting) throw 1;
      loam_visit_pointer(visitor, static_cast<Node*>(object)->left);
      loam_visit_pointer(visitor, static_cast<Node*>(object)->right);
    };
    const loam_type* type = nullptr;
    ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
    heap.kept.push_back(MakeTree(heap.m(), type, kNodes, 1));
    for (;;) heap.Collect();
  };
  EXPECT_EXIT(fail(), testing::KilledBySignal(SIGABRT),
              "exception(.|\n)*heap 'with workers': cycle(.|\n)*"
              "listener heard of it");
}

TEST(WorkersTest, ServeSeveralMutators) {
  TestHeap heap(Workers(2));
  const loam_type* type = RegisterNode(heap.types());
  const Deadline deadline(TestSeconds(2));
  RunThreads(heap, 3, [&](loam_mutator* m, int t) {
    const auto first = static_cast<uint64_t>(t) << 32;
    LOAM_FRAME(m, f, 1, LOAM_POINTER);
    while (deadline.Running()) {
      Node* tree = MakeTree(m, type, 30'000, first);
      f.slots[0] = reinterpret_cast<loam_word>(tree);
      if (t == 0) {
        ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
      }
      ASSERT_TRUE(IsTree(tree, 30'000, first));
    }
    LOAM_FRAME_END(f);
  });
  EXPECT_GT(heap.Stats().cycles, 3u);
}

// They are threads of the parent; the child marks alone.
TEST(WorkersTest, AForkedChildGoesOnWithoutThem) {
  TestHeap heap(Workers(3));
  const loam_type* type = RegisterNode(heap.types());
  heap.kept.push_back(MakeTree(heap.m(), type, kNodes, 1));
  heap.Collect();
  ASSERT_EQ(loam_fork_prepare(heap.m()), LOAM_OK);
  const pid_t child = fork();
  if (child == 0) {
    loam_fork_child(heap.m());
    heap.Collect();
    const bool whole = heap.Stats().live_objects == kNodes &&
                       IsTree(static_cast<Node*>(heap.kept[0]), kNodes, 1);
    heap.kept.clear();
    const bool ended = loam_mutator_detach(heap.m()) == LOAM_OK &&
                       loam_heap_destroy(heap.heap()) == LOAM_OK;
    _exit(whole && ended ? 0 : 1);
  }
  loam_fork_parent(heap.m());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, kNodes);
}

}  // namespace
}  // namespace loam_test
