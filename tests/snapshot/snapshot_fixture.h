// A folder for snapshots, and what a walk says of the same heap.

#ifndef LOAM_TESTS_SNAPSHOT_SNAPSHOT_FIXTURE_H_
#define LOAM_TESTS_SNAPSHOT_SNAPSHOT_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/api/test_heap.h"
#include "tests/snapshot/snapshot_reader.h"

namespace loam_test {

struct Walked {
  uintptr_t address;
  size_t bytes;
  const loam_type* type;
};
inline std::vector<Walked> Walk(const TestHeap& heap) {
  std::vector<Walked> objects;
  const auto visit = [](void* object, size_t bytes, const loam_type* type,
                        void* data) {
    static_cast<std::vector<Walked>*>(data)->push_back(
        {reinterpret_cast<uintptr_t>(object), bytes, type});
    return 1;
  };
  EXPECT_EQ(loam_heap_walk(heap.m(), visit, &objects), LOAM_OK);
  std::sort(
      objects.begin(), objects.end(),
      [](const Walked& a, const Walked& b) { return a.address < b.address; });
  return objects;
}

class HeapSnapshotTest : public testing::Test {
 protected:
  HeapSnapshotTest() : folder_(testing::TempDir() + "/heap_snapshots") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
  }
  ~HeapSnapshotTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name = "test.heapsnapshot") const {
    return folder_ + "/" + name;
  }
  SnapshotReader Write(const TestHeap& heap) const {
    EXPECT_EQ(loam_heap_snapshot_write(heap.m(), Path().c_str()), LOAM_OK)
        << loam_last_error();
    return SnapshotReader(Path());
  }

 private:
  const std::string folder_;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_SNAPSHOT_SNAPSHOT_FIXTURE_H_
