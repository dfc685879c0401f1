// The profile when objects have been sampled between two collections, the
// second of which is the first to see them: each fate that this can tell them,
// with as many as a mutator remembers, and with more.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>

#include "tests/api/test_heap.h"
#include "tests/profile/profile_reader.h"

namespace loam_test {
namespace {

void IgnoreFinalizer(loam_mutator*, void*, void*) {}
void IgnoreDispose(void*, size_t) {}

class YoungSamplesTest : public testing::TestWithParam<int> {
 protected:
  YoungSamplesTest() : heap_(EveryObject()) {
    // Before the first collection there are none.
    heap_.Collect();
  }
  ~YoungSamplesTest() override { std::filesystem::remove(path_); }

  static loam_options EveryObject() {
    loam_options options = TestOptions();
    options.profile_rate = 1;
    options.check.verify_marking = 1;
    return options;
  }
  const loam_type* Register(const char* name, uint32_t flags,
                            loam_dispose_fn dispose = nullptr) {
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = name;
    info.size = 32;
    info.flags = flags;
    info.dispose = dispose;
    const loam_type* type = nullptr;
    EXPECT_EQ(loam_type_register(heap_.types(), &info, &type), LOAM_OK)
        << loam_last_error();
    return type;
  }
  void ExpectCounts(const char* type, int64_t allocated, int64_t in_use) const {
    ASSERT_EQ(loam_heap_profile_write(heap_.heap(), path_.c_str()), LOAM_OK);
    const ProfileTotals totals = ProfileReader(path_).TotalsOfType(type);
    EXPECT_EQ(totals.alloc_objects, allocated) << type;
    EXPECT_EQ(totals.inuse_objects, in_use) << type;
  }

  TestHeap heap_;
  const std::string path_ = testing::TempDir() + "/young_samples_test.pprof";
};

TEST_P(YoungSamplesTest, TheFirstMarkingTellsTheirFate) {
  const int count = GetParam();
  loam_mutator* m = heap_.m();
  const loam_type* kept = Register("kept", LOAM_TYPE_HOT);
  const loam_type* dropped = Register("dropped", LOAM_TYPE_HOT);
  // These share their spans, with records on them and without.
  const loam_type* plain = Register("plain", 0);
  const loam_type* finalized = Register("finalized", 0);
  const loam_type* disposed =
      Register("disposed", LOAM_TYPE_DISPOSE_QUEUED, IgnoreDispose);
  loam_gc_disable(m);
  for (int i = 0; i < count; i++) {
    heap_.kept.push_back(loam_alloc(m, kept));
    ASSERT_NE(loam_alloc(m, dropped), nullptr);
    ASSERT_NE(loam_alloc(m, plain), nullptr);
    ASSERT_EQ(
        loam_finalizer_set(
            m, loam_alloc(m, finalized), IgnoreFinalizer, nullptr,
            i % 2 == 0 ? LOAM_FINALIZER_ORDERED : LOAM_FINALIZER_UNORDERED),
        LOAM_OK);
    ASSERT_NE(loam_alloc(m, disposed), nullptr);
    ASSERT_NE(loam_alloc_bytes(m, 40'000), nullptr);
  }
  ASSERT_EQ(loam_gc_enable(m), LOAM_OK);
  ExpectCounts("kept", 0, 0);
  heap_.Collect();
  ExpectCounts("kept", count, count);
  ExpectCounts("dropped", count, 0);
  ExpectCounts("plain", count, 0);
  ExpectCounts("finalized", count, count);
  // What waits for its dispose function is dead.
  ExpectCounts("disposed", count, 0);
  ExpectCounts("bytes", count, 0);
  ASSERT_EQ(loam_finalizers_run(m, 0, nullptr, nullptr), LOAM_OK);
  heap_.kept.clear();
  heap_.Collect();
  for (const char* type :
       {"kept", "dropped", "plain", "finalized", "disposed", "bytes"}) {
    ExpectCounts(type, count, 0);
  }
  heap_.ExpectSound();
}

TEST_P(YoungSamplesTest, OutliveTheirMutator) {
  const int count = GetParam();
  const loam_type* kept = Register("kept", LOAM_TYPE_HOT);
  const loam_type* dropped = Register("dropped", LOAM_TYPE_HOT);
  loam_enter_native(heap_.m());
  std::thread([&] {
    loam_mutator* m = nullptr;
    ASSERT_EQ(loam_mutator_attach(heap_.heap(), "other", &m), LOAM_OK);
    for (int i = 0; i < count; i++) {
      heap_.kept.push_back(loam_alloc(m, kept));
      ASSERT_NE(loam_alloc(m, dropped), nullptr);
    }
    ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  }).join();
  ASSERT_EQ(loam_leave_native(heap_.m()), LOAM_OK);
  heap_.Collect();
  ExpectCounts("kept", count, count);
  ExpectCounts("dropped", count, 0);
}

// 256 are remembered.
INSTANTIATE_TEST_SUITE_P(Counts, YoungSamplesTest,
                         testing::Values(20, 128, 3000));

}  // namespace
}  // namespace loam_test
