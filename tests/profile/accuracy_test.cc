// Estimates against the truth: what sampling says has been allocated, and what
// has. Several sizes and types at once, on one thread and on several.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/api/test_heap.h"
#include "tests/profile/profile_reader.h"

namespace loam_test {
namespace {

constexpr uint64_t kRate = 64 << 10;

// What has been allocated.
struct Truth {
  int64_t objects = 0;
  int64_t bytes = 0;  // of cells, apart from type words
};

// Bytes of all cells that have been allocated, as the heap's other statistics
// have them. They are exact after a collection.
double CellBytes(loam_heap* heap) {
  double bytes = 0;
  const auto add = [](const loam_span_class_stats* stats, void* data) {
    *static_cast<double*>(data) += static_cast<double>(stats->allocated_bytes);
  };
  EXPECT_EQ(loam_heap_span_classes(heap, add, &bytes), LOAM_OK);
  return bytes;
}

// Of one kind of allocation: for each object the bytes of its cell.
class Site {
 public:
  virtual ~Site() = default;
  virtual void* Allocate(loam_mutator* m) = 0;
  virtual std::string type() const = 0;
};

class TypedSite : public Site {
 public:
  TypedSite(loam_type_set* types, const char* name, size_t size)
      : name_(name), type_(RegisterType(types, name, size)) {}
  void* Allocate(loam_mutator* m) override { return loam_alloc(m, type_); }
  std::string type() const override { return name_; }

 private:
  const char* name_;
  const loam_type* type_;
};

class ArraySite : public Site {
 public:
  ArraySite(loam_type_set* types, const char* name, size_t count)
      : name_(name),
        type_(RegisterType(types, name, 8, {}, 0, 8,
                           {{"element", 0, 1, LOAM_POINTER}})),
        count_(count) {}
  void* Allocate(loam_mutator* m) override {
    return loam_alloc_array(m, type_, count_);
  }
  std::string type() const override { return name_; }

 private:
  const char* name_;
  const loam_type* type_;
  size_t count_;
};

// `share` of `bytes` for each of the sites, in a mixed order.
std::vector<Truth> AllocateAll(loam_heap* heap, loam_mutator* m,
                               const std::vector<std::unique_ptr<Site>>& sites,
                               int64_t bytes) {
  std::vector<Truth> truth(sites.size());
  const int64_t share = bytes / static_cast<int64_t>(sites.size());
  for (bool more = true; more;) {
    more = false;
    for (size_t i = 0; i < sites.size(); i++) {
      if (truth[i].bytes >= share) continue;
      more = true;
      // Runs of one kind, as programs have them.
      for (int n = 0; n < 20 && truth[i].bytes < share; n++) {
        void* object = sites[i]->Allocate(m);
        EXPECT_NE(object, nullptr);
        truth[i].objects++;
        truth[i].bytes += static_cast<int64_t>(loam_object_size(heap, object));
      }
    }
  }
  return truth;
}

std::vector<std::unique_ptr<Site>> MakeSites(loam_type_set* types) {
  std::vector<std::unique_ptr<Site>> sites;
  sites.push_back(std::make_unique<TypedSite>(types, "small", 16));
  sites.push_back(std::make_unique<TypedSite>(types, "record", 48));
  sites.push_back(std::make_unique<TypedSite>(types, "page", 3000));
  sites.push_back(std::make_unique<TypedSite>(types, "big", 20'000));
  sites.push_back(std::make_unique<TypedSite>(types, "large", 100'000));
  sites.push_back(std::make_unique<ArraySite>(types, "array", 40));
  return sites;
}

// The estimate is a sum over objects that are sampled with a probability of P
// each and then count 1 / P: its variance is n (1 - P) / P.
double SigmaOf(const Truth& truth, double bytes_each) {
  const double p = -std::expm1(-bytes_each / static_cast<double>(kRate));
  return std::sqrt(static_cast<double>(truth.objects) * (1 - p) / p);
}

void ExpectNear(const ProfileReader& profile, const std::string& type,
                const Truth& truth, double sigmas) {
  const ProfileTotals totals = profile.TotalsOfType(type);
  const double bytes_each =
      static_cast<double>(truth.bytes) / static_cast<double>(truth.objects);
  // Type words make sigma a little smaller; and each sample is rounded.
  EXPECT_NEAR(static_cast<double>(totals.alloc_objects),
              static_cast<double>(truth.objects),
              sigmas * SigmaOf(truth, bytes_each) + 10)
      << type;
}

class AccuracyTest : public testing::Test {
 protected:
  AccuracyTest() : path_(testing::TempDir() + "/accuracy_test.pprof") {}
  ~AccuracyTest() override { std::filesystem::remove(path_); }

  // Everything is dead in the end.
  void AllocateAndCompare(int64_t bytes, int threads, double sigmas) {
    loam_options options = TestOptions();
    options.profile_rate = kRate;
    TestHeap heap(options);
    const auto sites = MakeSites(heap.types());
    std::vector<Truth> truth(sites.size());
    const auto add = [&](const std::vector<Truth>& more) {
      for (size_t i = 0; i < truth.size(); i++) {
        truth[i].objects += more[i].objects;
        truth[i].bytes += more[i].bytes;
      }
    };
    if (threads == 1) {
      add(AllocateAll(heap.heap(), heap.m(), sites, bytes));
    } else {
      std::vector<std::vector<Truth>> parts(static_cast<size_t>(threads));
      std::vector<std::thread> running;
      loam_enter_native(heap.m());
      for (std::vector<Truth>& part : parts) {
        running.emplace_back([&] {
          loam_mutator* m;
          ASSERT_EQ(loam_mutator_attach(heap.heap(), "thread", &m), LOAM_OK);
          part = AllocateAll(heap.heap(), m, sites, bytes / threads);
          ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
        });
      }
      for (std::thread& thread : running) thread.join();
      ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
      for (const std::vector<Truth>& part : parts) add(part);
    }
    heap.Collect();
    ASSERT_EQ(loam_heap_profile_write(heap.heap(), path_.c_str()), LOAM_OK);
    const ProfileReader profile(path_);
    double variance = 0;
    for (size_t i = 0; i < sites.size(); i++) {
      ExpectNear(profile, sites[i]->type(), truth[i], sigmas);
      const double each = static_cast<double>(truth[i].bytes) /
                          static_cast<double>(truth[i].objects);
      variance += std::pow(each * SigmaOf(truth[i], each), 2);
    }
    const ProfileTotals totals = profile.Totals();
    const auto estimate = static_cast<double>(totals.alloc_space);
    const double actual = CellBytes(heap.heap());
    EXPECT_NEAR(estimate, actual, sigmas * std::sqrt(variance));
    EXPECT_EQ(totals.inuse_objects, 0);
    EXPECT_EQ(totals.inuse_space, 0);
    error_ = estimate / actual - 1;
    RecordProperty("error_percent", std::to_string(100 * error_));
    std::printf("%d threads, %.0f MiB: %+.3f %%, one sigma is %.3f %%\n",
                threads, actual / (1 << 20), 100 * error_,
                100 * std::sqrt(variance) / actual);
  }

  double error_ = 0;  // of the bytes, relative
  const std::string path_;
};

TEST_F(AccuracyTest, OneThread) { AllocateAndCompare(64 << 20, 1, 4.5); }

TEST_F(AccuracyTest, FourThreads) { AllocateAndCompare(64 << 20, 4, 4.5); }

// What issue 5 asks for.
TEST_F(AccuracyTest, FourGibibytes) {
  if (std::getenv("LOAM_TEST_LONG") == nullptr) {
    GTEST_SKIP() << "long_accuracy_test runs it";
  }
  for (const int threads : {1, 4}) {
    AllocateAndCompare(int64_t{4} << 30, threads, 4.5);
    EXPECT_LT(std::fabs(error_), 0.02);
  }
}

}  // namespace
}  // namespace loam_test
