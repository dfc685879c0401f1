// A heap that is destroyed while its background thread sweeps.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

struct Resource {
  std::atomic<uint64_t>* disposed;
  uint64_t words[3];
};

void Dispose(void* object, size_t) {
  auto* resource = static_cast<Resource*>(object);
  resource->disposed->fetch_add(1, std::memory_order_relaxed);
  resource->disposed = nullptr;  // a second time would crash
}

TEST(DestroyTest, DisposesOnceOfWhatIsBeingSwept) {
  for (int round = 0; round < 20; round++) {
    std::atomic<uint64_t> disposed = 0;
    uint64_t allocated = 0;
    loam_options options = TestOptions();
    options.no_background = 0;
    TestHeap heap(options);
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = "resource";
    info.size = sizeof(Resource);
    info.dispose = Dispose;
    info.flags = LOAM_TYPE_HOT;
    const loam_type* type = nullptr;
    ASSERT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
    loam_gc_disable(heap.m());
    for (; allocated < 500'000; allocated++) {
      auto* resource = static_cast<Resource*>(loam_alloc(heap.m(), type));
      ASSERT_NE(resource, nullptr);
      resource->disposed = &disposed;
    }
    ASSERT_EQ(loam_gc_enable(heap.m()), LOAM_OK);
    // A collection that leaves sweeping to others.
    const uint64_t cycles = heap.Stats().cycles;
    while (heap.Stats().cycles == cycles) {
      ASSERT_NE(loam_alloc_bytes(heap.m(), 4000), nullptr);
    }
    heap.Destroy();
    EXPECT_EQ(disposed.load(), allocated);
  }
}

}  // namespace
}  // namespace loam_test
