// A memory limit holds while a program makes garbage as fast as it can.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "runtime/runtime.h"
#include "tests/api/test_heap.h"
#include "tests/support/random.h"
#include "tests/support/resident_memory.h"

namespace loam_test {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
// 64 KiB.
constexpr size_t kListNodes = 256;
constexpr size_t kNodeBytes = 224;
constexpr size_t kListBytes = kListNodes * (32 + kNodeBytes);

// LOAM_TEST_MIB: the limit; 64 by default.
size_t LimitMib() {
  const char* given = getenv("LOAM_TEST_MIB");
  return given != nullptr ? strtoul(given, nullptr, 10) : 64;
}

// Looks every ten milliseconds how much of the process is resident.
class Sampler {
 public:
  Sampler() {
    thread_ = std::thread([this] {
      while (!ends_) {
        const size_t resident = ResidentBytes();
        most_ = std::max(most_.load(), resident);
        samples_++;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    });
  }
  // Most that was seen.
  size_t End() {
    ends_ = true;
    thread_.join();
    EXPECT_GT(samples_, 10u);
    return most_;
  }

 private:
  std::atomic<bool> ends_ = false;
  std::atomic<size_t> most_ = 0;
  std::atomic<size_t> samples_ = 0;
  std::thread thread_;
};

// A list of nodes, each of which has some bytes.
void* MakeList(loam_mutator* m, const loam_type* type) {
  LOAM_FRAME(m, f, 2, LOAM_POINTER);
  for (size_t i = 0; i < kListNodes; i++) {
    Node* const node = NewNode(m, type, i);
    if (node == nullptr) break;
    loam_store_pointer_init(m, node, &node->left,
                            reinterpret_cast<Node*>(f.slots[0]));
    f.slots[0] = reinterpret_cast<loam_word>(node);
    f.slots[1] = reinterpret_cast<loam_word>(loam_alloc_bytes(m, kNodeBytes));
    loam_store_pointer(m, node, &node->right,
                       reinterpret_cast<Node*>(f.slots[1]));
  }
  void* const list = reinterpret_cast<void*>(f.slots[0]);
  LOAM_FRAME_END(f);
  return list;
}

// Keeps `live` bytes, of which some are replaced all the time, and allocates
// `garbage` bytes of all sizes.
void MakeGarbage(TestHeap* heap, uint64_t live, uint64_t garbage) {
  const loam_type* const type = RegisterNode(heap->types());
  while (heap->kept.size() < live / kListBytes) {
    heap->kept.push_back(MakeList(heap->m(), type));
  }
  uint64_t seed = 7;
  for (uint64_t bytes = 0, i = 0; bytes < garbage; i++) {
    seed = Mix(seed);
    const size_t size = i % 1000 == 0 ? 50'000 + seed % 200'000
                                      : 16 + seed % (i % 16 == 0 ? 4000 : 200);
    ASSERT_NE(loam_alloc_bytes(heap->m(), size), nullptr);
    bytes += size;
    if (i % 3000 == 0) {
      heap->kept[seed % heap->kept.size()] = MakeList(heap->m(), type);
    }
  }
}

TEST(MemoryLimitTest, GarbageStaysBelowIt) {
  const size_t limit = LimitMib() * kMiB;
  loam_options options = TestOptions();
  options.no_background = 0;
  options.memory_limit = limit;
  options.gc_percent = 400;  // The limit decides.
  std::string log;
  options.callbacks.data = &log;
  options.callbacks.log = [](loam_heap*, const char* line, void* data) {
    *static_cast<std::string*>(data) += line;
  };
  Sampler sampler;
  uint64_t cycles;
  {
    TestHeap heap(options);
    MakeGarbage(&heap, limit / 512 * 300, 30 * limit);
    cycles = heap.Stats().cycles;
    EXPECT_LE(heap.Stats().peak_committed_bytes, limit);
    heap.ExpectSound();
  }
  const size_t most = sampler.End();
  std::printf("limit %zu MiB, resident at most %.1f MiB, %llu cycles\n",
              limit / kMiB, static_cast<double>(most) / kMiB,
              static_cast<unsigned long long>(cycles));
  EXPECT_LE(most, limit);
  EXPECT_GT(most, limit / 4 * 3) << "it uses what it may";
  EXPECT_EQ(log, "") << "nothing is exceeded";
}

// Garbage of one size after another leaves free pages that do not fit.
TEST(MemoryLimitTest, FreePagesInTheWrongPlaceGoBack) {
  constexpr size_t kLimit = 64 * kMiB;
  loam_options options = TestOptions();
  options.memory_limit = kLimit;
  options.gc_percent = 1000;
  TestHeap heap(options);
  for (size_t size = 8 << 10; size <= 8 * kMiB; size *= 2) {
    // A tenth of the limit, every second of which goes: holes of this size.
    for (size_t bytes = 0; bytes < kLimit / 10; bytes += size) {
      void* const object = loam_alloc_bytes(heap.m(), size);
      ASSERT_NE(object, nullptr);
      memset(object, 1, size);
      heap.kept.push_back(object);
    }
    for (size_t i = 0; i < heap.kept.size(); i += 2) heap.kept[i] = nullptr;
    std::erase(heap.kept, nullptr);
  }
  EXPECT_LE(heap.Stats().peak_committed_bytes, kLimit);
  EXPECT_GT(heap.Stats().peak_committed_bytes, kLimit / 2);
}

// What is alive goes beyond the limit: it gives way, allocation goes on, and
// the log says so.
TEST(MemoryLimitTest, GivesWayToWhatIsLive) {
  constexpr size_t kLimit = 32 * kMiB;
  loam_options options = TestOptions();
  options.memory_limit = kLimit;
  std::string log;
  options.callbacks.data = &log;
  options.callbacks.log = [](loam_heap*, const char* line, void* data) {
    *static_cast<std::string*>(data) += line;
  };
  TestHeap heap(options);
  // A second of collecting, and then some.
  while (log.empty() && heap.Stats().cycles < 10'000) {
    MakeGarbage(&heap, kLimit * 2, kLimit);
  }
  const loam_stats stats = heap.Stats();
  EXPECT_GT(stats.committed_bytes, kLimit * 2);
  EXPECT_NE(log.find("memory limit is exceeded"), std::string::npos) << log;
  heap.ExpectSound();
}

// A limit that is lowered takes free pages back at once.
TEST(MemoryLimitTest, TakesEffectWhenSet) {
  TestHeap heap;
  MakeGarbage(&heap, 40 * kMiB, 100 * kMiB);
  heap.kept.resize(100);
  heap.Collect();
  ASSERT_GT(heap.Stats().committed_bytes, 30 * kMiB);
  EXPECT_EQ(loam_heap_set_memory_limit(heap.heap(), 20 * kMiB), LOAM_OK);
  EXPECT_LE(heap.Stats().committed_bytes, 20 * kMiB);
}

class CgroupLimitTest : public testing::TestWithParam<const char*> {
 protected:
  void Write(const std::string& path, const std::string& content) {
    for (size_t i = 1; i < path.size(); i++) {
      if (path[i] == '/') mkdir((root_ + path.substr(0, i)).c_str(), 0755);
    }
    std::ofstream(root_ + path) << content << "\n";
  }

  const std::string root_ = testing::TempDir() + "cgroup_" + GetParam();
};

// The container's limit is found, and nine tenths of it are kept.
TEST_P(CgroupLimitTest, IsFoundAndKept) {
  const std::string limit = std::to_string(60 * kMiB);
  const std::string param = GetParam();
  mkdir(root_.c_str(), 0755);
  if (param == "v2") {
    Write("/proc/self/cgroup", "0::/outer/inner");
    Write("/sys/fs/cgroup/outer/inner/memory.max", "max");
    Write("/sys/fs/cgroup/outer/memory.max", limit);
  } else {
    Write("/proc/self/cgroup", "7:cpu:/elsewhere\n4:memory:/outer/inner\n0::/");
    Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
    Write("/sys/fs/cgroup/memory/outer/inner/memory.limit_in_bytes", limit);
  }
  loam::RuntimeOptions options;
  options.cgroup_root = root_.c_str();
  options.background = false;
  options.pacer.minimum_bytes = 1024 * kMiB;  // The limit decides.
  loam::Runtime* runtime = nullptr;
  loam::ErrorMessage message;
  ASSERT_EQ(loam::Runtime::Create(options, &runtime, &message),
            loam::Status::kOk);
  EXPECT_EQ(runtime->pacer()->options().memory_limit, 54 * kMiB);
  loam_mutator* m = nullptr;
  ASSERT_EQ(
      loam_mutator_attach(reinterpret_cast<loam_heap*>(runtime), "main", &m),
      LOAM_OK);
  for (int i = 0; i < 400'000; i++) {
    ASSERT_NE(loam_alloc_bytes(m, 1000), nullptr);
  }
  EXPECT_LE(runtime->stats().pages.memory.peak_committed, 54 * kMiB);
  EXPECT_GT(runtime->stats().pages.memory.peak_committed, 30 * kMiB);
  ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  ASSERT_EQ(runtime->Destroy(&message), loam::Status::kOk);
}

INSTANTIATE_TEST_SUITE_P(Versions, CgroupLimitTest,
                         testing::Values("v1", "v2"));

}  // namespace
}  // namespace loam_test
