// The heap profile as a whole: what it says of a heap of known content.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/api/test_heap.h"
#include "tests/profile/profile_reader.h"

namespace loam_test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

loam_options EveryObject() {
  loam_options options = TestOptions();
  options.profile_rate = 1;
  return options;
}

class HeapProfileTest : public testing::Test {
 protected:
  HeapProfileTest() : path_(testing::TempDir() + "/heap_profile_test.pprof") {}
  ~HeapProfileTest() override { std::filesystem::remove(path_); }

  ProfileReader Write(loam_heap* heap) const {
    EXPECT_EQ(loam_heap_profile_write(heap, path_.c_str()), LOAM_OK)
        << loam_last_error();
    return ProfileReader(path_);
  }

 private:
  const std::string path_;
};

// Names to look for. Not inlined, and no tail calls.
__attribute__((noinline)) void* AllocateRecords(loam_mutator* m,
                                                const loam_type* type,
                                                int count) {
  void* last = nullptr;
  for (int i = 0; i < count; i++) last = loam_alloc(m, type);
  return last;
}
__attribute__((noinline)) void* AllocateBuffers(loam_mutator* m, size_t bytes,
                                                int count) {
  void* last = nullptr;
  for (int i = 0; i < count; i++) last = loam_alloc_bytes(m, bytes);
  return last;
}

TEST_F(HeapProfileTest, SaysWhatItsValuesAre) {
  TestHeap heap(EveryObject());
  const ProfileReader profile = Write(heap.heap());
  EXPECT_THAT(profile.sample_types,
              ElementsAre("alloc_objects/count", "alloc_space/bytes",
                          "inuse_objects/count", "inuse_space/bytes"));
  EXPECT_EQ(profile.default_sample_type, "inuse_space");
  EXPECT_EQ(profile.period_type, "space/bytes");
  EXPECT_EQ(profile.period, 1);
  EXPECT_GT(profile.time_nanos, int64_t{1'700'000'000} * 1'000'000'000);
  EXPECT_THAT(profile.comments, Contains("loam heap 'test'"));
  EXPECT_THAT(profile.mapped_files, Contains(HasSubstr("heap_profile_test")));
  EXPECT_TRUE(profile.samples.empty());
}

TEST_F(HeapProfileTest, AtRateOneEveryObjectIsThere) {
  TestHeap heap(EveryObject());
  const loam_type* node = RegisterNode(heap.types());
  AllocateRecords(heap.m(), node, 5000);
  AllocateBuffers(heap.m(), 100, 300);
  const ProfileReader profile = Write(heap.heap());
  // Before the first collection it tells of now.
  const ProfileTotals nodes = profile.TotalsOfType("node");
  EXPECT_EQ(nodes.alloc_objects, 5000);
  EXPECT_EQ(nodes.inuse_objects, 5000);
  // 24 bytes; in typed spans, or before them with a type word.
  EXPECT_GE(nodes.alloc_space, 5000 * 24);
  EXPECT_LE(nodes.alloc_space, 5000 * 32);
  const ProfileTotals buffers = profile.TotalsOfType("bytes");
  EXPECT_EQ(buffers.alloc_objects, 300);
  EXPECT_EQ(buffers.alloc_space, 300 * 112);
  for (const ProfileSample& sample : profile.samples) {
    EXPECT_EQ(sample.alloc_space, sample.alloc_objects * sample.bytes);
  }
}

TEST_F(HeapProfileTest, NamesTheSites) {
  TestHeap heap(EveryObject());
  const loam_type* node = RegisterNode(heap.types());
  AllocateRecords(heap.m(), node, 1000);
  AllocateBuffers(heap.m(), 2000, 500);
  const ProfileReader profile = Write(heap.heap());
  int64_t objects = 0;
  for (const ProfileSample& sample : profile.samples) {
    const bool is_node = sample.type == "node";
    // loam's own frames are left out, so the site is the innermost.
    EXPECT_THAT(sample.frames[0].function,
                HasSubstr(is_node ? "AllocateRecords" : "AllocateBuffers"));
    EXPECT_TRUE(sample.frames[0].is_mapped);
    EXPECT_NE(sample.frames[0].address, 0u);
    EXPECT_TRUE(sample.HasFrame("NamesTheSites")) << sample.type;
    EXPECT_TRUE(sample.HasFrame("main"));
    objects += sample.alloc_objects;
  }
  EXPECT_EQ(objects, 1500);
}

TEST_F(HeapProfileTest, EveryWayToAllocateIsSampled) {
  TestHeap heap(EveryObject());
  loam_mutator* m = heap.m();
  const loam_type* node = RegisterNode(heap.types());
  const loam_type* array = RegisterType(heap.types(), "array", 8, {}, 0, 8,
                                        {{"element", 0, 1, LOAM_POINTER}});
  const loam_type* big = RegisterType(heap.types(), "big", 50'000);
  const uint64_t bits[16] = {1};
  std::vector<void*> out(700);
  for (int i = 0; i < 10; i++) {
    ASSERT_NE(loam_alloc_array(m, array, 10), nullptr);
    ASSERT_NE(loam_alloc_array(m, array, 10'000), nullptr);
    ASSERT_NE(loam_alloc(m, big), nullptr);
    ASSERT_NE(loam_alloc_slots(m, 5), nullptr);
    ASSERT_NE(loam_alloc_slots(m, 5'000), nullptr);
    ASSERT_NE(loam_alloc_bitmap(m, 64, bits, nullptr), nullptr);
    ASSERT_NE(loam_alloc_bitmap(m, 1024, bits, nullptr), nullptr);
    ASSERT_NE(loam_alloc_ambiguous(m, 6), nullptr);
    ASSERT_NE(loam_alloc_bytes_unzeroed(m, 40'000), nullptr);
    ASSERT_NE(loam_try_alloc_bytes(m, 20), nullptr);
    ASSERT_NE(loam_try_alloc(m, node), nullptr);
    ASSERT_NE(loam_alloc_immortal(m, node), nullptr);
  }
  size_t many = 0;
  while (many < out.size()) {
    many += loam_alloc_many(m, node, out.size() - many, out.data());
  }
  const ProfileReader profile = Write(heap.heap());
  EXPECT_EQ(profile.TotalsOfType("array").alloc_objects, 20);
  EXPECT_EQ(profile.TotalsOfType("big").alloc_objects, 10);
  EXPECT_EQ(profile.TotalsOfType("slots").alloc_objects, 20);
  EXPECT_EQ(profile.TotalsOfType("object with a bitmap").alloc_objects, 20);
  EXPECT_EQ(profile.TotalsOfType("ambiguous words").alloc_objects, 10);
  EXPECT_EQ(profile.TotalsOfType("bytes").alloc_objects, 20);
  EXPECT_EQ(profile.TotalsOfType("node").alloc_objects, 720);
  heap.ExpectSound();
}

TEST_F(HeapProfileTest, TinyObjectsCountAsTheCellTheyShare) {
  TestHeap heap(EveryObject());
  for (int i = 0; i < 1000; i++) loam_alloc_bytes(heap.m(), 8);
  const ProfileTotals bytes = Write(heap.heap()).TotalsOfType("bytes");
  EXPECT_EQ(bytes.alloc_objects, 500);
  EXPECT_EQ(bytes.alloc_space, 8000);
}

TEST_F(HeapProfileTest, AfterACollectionWhatIsInUseIsWhatIsAlive) {
  TestHeap heap(EveryObject());
  const loam_type* node = RegisterNode(heap.types());
  for (int round = 1; round <= 5; round++) {
    for (int i = 0; i < 1000; i++) {
      Node* kept = NewNode(heap.m(), node, 1);
      if (i % 10 == 0) heap.kept.push_back(kept);
    }
    heap.Collect();
    const ProfileTotals nodes = Write(heap.heap()).TotalsOfType("node");
    EXPECT_EQ(nodes.alloc_objects, round * 1000);
    EXPECT_EQ(nodes.inuse_objects, round * 100);
  }
  heap.kept.clear();
  heap.Collect();
  const ProfileTotals nodes = Write(heap.heap()).TotalsOfType("node");
  EXPECT_EQ(nodes.alloc_objects, 5000);
  EXPECT_EQ(nodes.inuse_objects, 0);
  EXPECT_EQ(nodes.inuse_space, 0);
}

// What has been allocated since the last collection may be dead already, and
// would be counted as in use.
TEST_F(HeapProfileTest, IsThatOfTheLastCollection) {
  TestHeap heap(EveryObject());
  const loam_type* node = RegisterNode(heap.types());
  AllocateRecords(heap.m(), node, 100);
  heap.Collect();
  AllocateRecords(heap.m(), node, 1000);
  EXPECT_EQ(Write(heap.heap()).TotalsOfType("node").alloc_objects, 100);
  heap.Collect();
  EXPECT_EQ(Write(heap.heap()).TotalsOfType("node").alloc_objects, 1100);
}

// A collection has found all dead, and most of them are not swept yet.
TEST_F(HeapProfileTest, FiguresFitTogetherAtAnyTime) {
  loam_options options = EveryObject();
  options.minimum_heap_bytes = 1 << 20;
  TestHeap heap(options);
  const loam_type* node = RegisterNode(heap.types());
  int64_t last = 0;
  for (int i = 0; i < 200'000; i++) {
    NewNode(heap.m(), node, 1);
    if (i % 5'000 != 0) continue;
    const ProfileTotals nodes = Write(heap.heap()).TotalsOfType("node");
    EXPECT_GE(nodes.alloc_objects, last);
    last = nodes.alloc_objects;
    if (heap.Stats().cycles > 0) {
      EXPECT_EQ(nodes.inuse_objects, 0);
    }
  }
  EXPECT_GT(heap.Stats().cycles, 3u);
  EXPECT_GT(last, 50'000);
}

TEST_F(HeapProfileTest, AFinalizedObjectIsInUseUntilItIsGone) {
  TestHeap heap(EveryObject());
  const loam_type* node = RegisterNode(heap.types());
  const auto finalizer = [](loam_mutator*, void*, void*) {};
  for (int i = 0; i < 10; i++) {
    Node* object = NewNode(heap.m(), node, 1);
    ASSERT_EQ(loam_finalizer_set(heap.m(), object, finalizer, nullptr,
                                 LOAM_FINALIZER_ORDERED),
              LOAM_OK);
  }
  heap.Collect();
  EXPECT_EQ(Write(heap.heap()).TotalsOfType("node").inuse_objects, 10);
  ASSERT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
  heap.Collect();
  EXPECT_EQ(Write(heap.heap()).TotalsOfType("node").inuse_objects, 0);
}

TEST_F(HeapProfileTest, ASampleKeepsNothingAliveAndStopsNoPin) {
  TestHeap heap(EveryObject());
  const loam_type* node = RegisterNode(heap.types());
  Node* pinned = NewNode(heap.m(), node, 1);
  ASSERT_EQ(loam_pin(heap.m(), pinned), LOAM_OK);
  NewNode(heap.m(), node, 2);
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 1u);
  EXPECT_EQ(Write(heap.heap()).TotalsOfType("node").inuse_objects, 1);
  ASSERT_EQ(loam_unpin(heap.m(), pinned), LOAM_OK);
  heap.Collect();
  EXPECT_EQ(Write(heap.heap()).TotalsOfType("node").inuse_objects, 0);
}

TEST_F(HeapProfileTest, TheRateChangesAtRunTime) {
  loam_options options = TestOptions();
  options.profile_rate = 0;
  TestHeap heap(options);
  const loam_type* node = RegisterNode(heap.types());
  AllocateRecords(heap.m(), node, 10'000);
  EXPECT_TRUE(Write(heap.heap()).samples.empty());
  ASSERT_EQ(loam_heap_set_profile_rate(heap.heap(), 1), LOAM_OK);
  AllocateRecords(heap.m(), node, 10'000);
  const int64_t on = Write(heap.heap()).Totals().alloc_objects;
  // What was left of a span was handed out without samples.
  EXPECT_LE(on, 10'000);
  EXPECT_GE(on, 10'000 - 1'000);
  ASSERT_EQ(loam_heap_set_profile_rate(heap.heap(), 0), LOAM_OK);
  AllocateRecords(heap.m(), node, 10'000);
  const ProfileReader off = Write(heap.heap());
  EXPECT_EQ(off.Totals().alloc_objects, on);
  EXPECT_EQ(off.period, 0);
  EXPECT_EQ(loam_heap_set_profile_rate(heap.heap(), LOAM_PROFILE_RATE_MAX + 1),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_heap_set_profile_rate: rate"));
  EXPECT_EQ(loam_heap_set_profile_rate(nullptr, 1), LOAM_INVALID_ARGUMENT);
}

TEST_F(HeapProfileTest, TheDefaultIsOneFor512KiB) {
  TestHeap heap;
  const ProfileReader profile = Write(heap.heap());
  EXPECT_EQ(profile.period, 512 << 10);
  ASSERT_EQ(setenv("LOAM_PROFILE_RATE", "64K", 1), 0);
  {
    TestHeap other;
    EXPECT_EQ(Write(other.heap()).period, 64 << 10);
  }
  ASSERT_EQ(setenv("LOAM_PROFILE_RATE", "2T", 1), 0);
  const loam_options options = TestOptions();
  loam_heap* refused;
  EXPECT_EQ(loam_heap_create(&options, &refused), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(), HasSubstr("LOAM_PROFILE_RATE: '2T'"));
  unsetenv("LOAM_PROFILE_RATE");
}

TEST_F(HeapProfileTest, CheckingModesAreSampledToo) {
  loam_options options = EveryObject();
  options.check.stress_interval = 7;
  options.check.poison = 1;
  options.check.check_stores = 1;
  TestHeap heap(options);
  const loam_type* node = RegisterNode(heap.types());
  for (int i = 0; i < 500; i++) {
    Node* object = NewNode(heap.m(), node, 1);
    if (i % 5 == 0) heap.kept.push_back(object);
  }
  heap.Collect();
  const ProfileTotals nodes = Write(heap.heap()).TotalsOfType("node");
  EXPECT_EQ(nodes.alloc_objects, 500);
  EXPECT_EQ(nodes.inuse_objects, 100);
}

TEST_F(HeapProfileTest, OutOfMemoryLosesSamplesAndNothingElse) {
  loam_options options = EveryObject();
  options.heap_limit = 1 << 20;
  TestHeap heap(options);
  const loam_type* node = RegisterNode(heap.types());
  size_t objects = 0;
  for (Node* last = nullptr;;) {
    heap.kept = {last};
    Node* object = NewNode(heap.m(), node, 1);
    if (object == nullptr) break;
    loam_store_pointer(heap.m(), object, &object->left, last);
    last = object;
    objects++;
  }
  EXPECT_GT(objects, 1'000u);
  heap.Collect();
  const ProfileReader profile = Write(heap.heap());
  EXPECT_LE(profile.Totals().inuse_objects, static_cast<int64_t>(objects));
  EXPECT_GT(profile.Totals().inuse_objects, static_cast<int64_t>(objects) / 2);
  heap.ExpectSound();
}

// A frame of function 1.
size_t OneFrame(loam_mutator*, loam_profile_frame* frames, size_t, void*) {
  frames[0] = {1, 0};
  return 1;
}

// Readers of protocol buffers refuse strings that are not UTF-8.
TEST_F(HeapProfileTest, NamesAreUtf8) {
  loam_options options = EveryObject();
  options.name = "caf\xe9";
  options.profile.frames = OneFrame;
  options.profile.describe = [](loam_word, loam_profile_function* f, void*) {
    f->name = "na\xefve \xc3\xa9\xc3";
  };
  TestHeap heap(options);
  loam_alloc(heap.m(), RegisterType(heap.types(), "\xff type", 16));
  const ProfileReader profile = Write(heap.heap());
  EXPECT_THAT(profile.comments, Contains("loam heap 'caf\xef\xbf\xbd'"));
  ASSERT_EQ(profile.samples.size(), 1u);
  EXPECT_EQ(profile.samples[0].type, "\xef\xbf\xbd type");
  EXPECT_TRUE(
      profile.samples[0].HasFrame("na\xef\xbf\xbdve \xc3\xa9\xef\xbf\xbd"));
}

// Whose callback it was: the heap's own fatal callback is told.
TEST_F(HeapProfileTest, AFatalErrorInACallbackIsOfTheHeap) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [&](bool in_frames) {
    loam_options options = EveryObject();
    options.callbacks.fatal = [](loam_heap*, const char* message, void*) {
      fprintf(stderr, "told of: %s\n", message);
    };
    options.profile.frames = OneFrame;
    if (in_frames) {
      options.profile.frames = [](loam_mutator*, loam_profile_frame*, size_t,
                                  void*) -> size_t { throw 7; };
    }
    options.profile.describe = [](loam_word, loam_profile_function*, void*) {
      throw 7;
    };
    TestHeap heap(options);
    loam_alloc_bytes(heap.m(), 100);
    Write(heap.heap());
  };
  EXPECT_DEATH(run(true), "told of: .*left the frames callback");
  EXPECT_DEATH(run(false), "told of: .*left the describe callback");
}

TEST_F(HeapProfileTest, ErrorsNameTheCallAndTheArgument) {
  TestHeap heap;
  EXPECT_EQ(loam_heap_profile_write(nullptr, "x"), LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_heap_profile_write: heap"));
  EXPECT_EQ(loam_heap_profile_write(heap.heap(), nullptr),
            LOAM_INVALID_ARGUMENT);
  EXPECT_THAT(loam_last_error(), HasSubstr("loam_heap_profile_write: path"));
  EXPECT_EQ(loam_heap_profile_write(heap.heap(), "/missing/heap.pprof"),
            LOAM_IO_ERROR);
  EXPECT_THAT(loam_last_error(),
              HasSubstr("loam_heap_profile_write: cannot open /missing/"));
}

}  // namespace
}  // namespace loam_test
