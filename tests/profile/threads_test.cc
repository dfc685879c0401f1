// Four threads allocate with a small rate while profiles are written and the
// rate changes: for the thread sanitizer, and that the figures add up.

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/api/test_heap.h"
#include "tests/profile/profile_reader.h"

namespace loam_test {
namespace {

constexpr int kThreads = 4;

size_t ListFrames(loam_mutator*, loam_profile_frame* frames, size_t max,
                  void* data) {
  const auto* calls = static_cast<std::atomic<uint64_t>*>(data);
  EXPECT_GE(max, 2u);
  const uint64_t seen = calls->load(std::memory_order_relaxed);
  frames[0] = {1 + seen % 3, 10};
  frames[1] = {7, 20};
  return 2;
}

void Describe(loam_word function, loam_profile_function* description, void*) {
  static constexpr const char* kNames[] = {"zero", "one", "two", "three"};
  description->name = function < 4 ? kNames[function] : nullptr;
  description->file = "program.toy";
  description->first_line = 5;
}

TEST(ProfileThreadsTest, AllocateWriteAndChangeTheRate) {
  std::atomic<uint64_t> calls{0};
  loam_options options = TestOptions();
  options.profile_rate = 64;
  options.no_background = 0;  // The background sweeps, and counts deaths.
  options.minimum_heap_bytes = 1 << 20;
  options.profile.frames = ListFrames;
  options.profile.describe = Describe;
  options.profile.data = &calls;
  TestHeap heap(options);
  const loam_type* node = RegisterNode(heap.types());
  const std::string path = testing::TempDir() + "/threads_test.pprof";
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  loam_enter_native(heap.m());
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&] {
      loam_mutator* m;
      ASSERT_EQ(loam_mutator_attach(heap.heap(), "thread", &m), LOAM_OK);
      for (int i = 0; i < 20'000; i++) {
        ASSERT_NE(loam_alloc(m, node), nullptr);
        const size_t bytes = i % 512 == 0 ? 40'000 : 300;
        if (i % 8 == 0) {
          ASSERT_NE(loam_alloc_bytes(m, bytes), nullptr);
        }
        calls.fetch_add(1, std::memory_order_relaxed);
      }
      ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
      running.fetch_sub(1, std::memory_order_relaxed);
    });
  }
  std::thread writer([&] {
    for (int i = 0; running.load(std::memory_order_relaxed) > 0; i++) {
      ASSERT_EQ(loam_heap_profile_write(heap.heap(), path.c_str()), LOAM_OK);
      // Its checks: never more in use than allocated, and none negative.
      const ProfileReader profile(path);
      ASSERT_EQ(loam_heap_set_profile_rate(
                    heap.heap(), i % 4 == 0 ? 0 : uint64_t{16} << i % 4),
                LOAM_OK);
    }
  });
  for (std::thread& thread : threads) thread.join();
  writer.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  heap.Collect();
  ASSERT_EQ(loam_heap_profile_write(heap.heap(), path.c_str()), LOAM_OK);
  const ProfileReader profile(path);
  EXPECT_EQ(profile.Totals().inuse_objects, 0);
  EXPECT_GT(profile.Totals().alloc_objects, 0);
  for (const ProfileSample& sample : profile.samples) {
    ASSERT_GE(sample.frames.size(), 3u) << "native frames follow";
    EXPECT_EQ(sample.frames[0].file, "program.toy");
    EXPECT_EQ(sample.frames[0].line, 10);
    EXPECT_EQ(sample.frames[0].first_line, 5);
    EXPECT_EQ(sample.frames[1].function, "function 0x7");
    EXPECT_EQ(sample.frames[1].line, 20);
    EXPECT_FALSE(sample.frames[0].is_mapped);
    EXPECT_TRUE(sample.frames[2].is_mapped);
  }
  heap.ExpectSound();
  std::filesystem::remove(path);
}

// Mutators come and go, and so does what they remember of their stacks.
TEST(ProfileThreadsTest, MutatorsThatMoveBetweenThreads) {
  loam_options options = TestOptions();
  options.profile_rate = 1;
  TestHeap heap(options);
  const loam_type* node = RegisterNode(heap.types());
  loam_mutator* m;
  loam_enter_native(heap.m());
  std::thread([&] {
    ASSERT_EQ(loam_mutator_attach(heap.heap(), "moving", &m), LOAM_OK);
    for (int i = 0; i < 100; i++) ASSERT_NE(loam_alloc(m, node), nullptr);
    loam_enter_native(m);
  }).join();
  for (int t = 0; t < 8; t++) {
    std::thread([&] {
      ASSERT_EQ(loam_leave_native(m), LOAM_OK);
      for (int i = 0; i < 100; i++) ASSERT_NE(loam_alloc(m, node), nullptr);
      loam_enter_native(m);
    }).join();
  }
  std::thread([&] {
    ASSERT_EQ(loam_leave_native(m), LOAM_OK);
    ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  }).join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  const std::string path = testing::TempDir() + "/moving_test.pprof";
  ASSERT_EQ(loam_heap_profile_write(heap.heap(), path.c_str()), LOAM_OK);
  EXPECT_EQ(ProfileReader(path).TotalsOfType("node").alloc_objects, 900);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace loam_test
