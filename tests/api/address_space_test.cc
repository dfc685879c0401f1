// What an embedder sees of a heap's address space: what it costs, what the
// statistics say, a random base, and a machine that loam cannot run on.

#include "runtime/heap/address_space.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "api/loam.h"
#include "gtest/gtest.h"
#include "runtime/runtime.h"
#include "tests/api/test_heap.h"
#include "tests/support/resident_memory.h"

namespace {

using loam_test::ResidentBytes;
using loam_test::TestHeap;
using loam_test::TestOptions;

constexpr size_t kMiB = size_t{1} << 20;
constexpr uintptr_t kArenaBytes = loam::kArenaBytes;

uintptr_t Address(void* object) { return reinterpret_cast<uintptr_t>(object); }

uintptr_t FirstObject(const loam_options& options) {
  TestHeap heap(options);
  return Address(loam_alloc_bytes(heap.m(), 100));
}

// The same in a process of its own.
uintptr_t FirstObjectOfAProcess(const loam_options& options) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    const uintptr_t address = FirstObject(options);
    const ssize_t written = write(ends[1], &address, sizeof(address));
    _exit(written == sizeof(address) ? 0 : 1);
  }
  uintptr_t address = 0;
  EXPECT_EQ(read(ends[0], &address, sizeof(address)),
            static_cast<ssize_t>(sizeof(address)));
  close(ends[0]);
  close(ends[1]);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  return address;
}

TEST(AddressSpaceOfAHeapTest, FreshHeapHasLessThanOneMiBResident) {
  {
    const TestHeap warm;
  }
  const size_t before = ResidentBytes();
  const TestHeap heap;
  const size_t after = ResidentBytes();
  EXPECT_LT(after, before + kMiB);
  EXPECT_EQ(loam_heap_resident_bytes(heap.heap()), 0u);
  std::printf("%zu KiB\n", (after - before) >> 10);
}

TEST(AddressSpaceOfAHeapTest, ReservedMappedResidentAndReleasedAreToldApart) {
  TestHeap heap;
  for (int i = 0; i < 32; i++) {
    void* object = loam_alloc_bytes(heap.m(), kMiB);
    ASSERT_NE(object, nullptr);
    memset(object, 1, kMiB);
    heap.kept.push_back(object);
  }
  const auto check = [&](const loam_stats& stats) {
    EXPECT_LE(stats.mapped_bytes, stats.reserved_bytes);
    EXPECT_EQ(stats.span_bytes + stats.free_page_bytes + stats.released_bytes,
              stats.mapped_bytes);
    EXPECT_EQ(stats.committed_bytes - stats.metadata_bytes,
              stats.span_bytes + stats.free_page_bytes);
    EXPECT_LE(loam_heap_resident_bytes(heap.heap()),
              stats.span_bytes + stats.free_page_bytes);
  };
  check(heap.Stats());
  EXPECT_GE(loam_heap_resident_bytes(heap.heap()), 32 * kMiB);
  heap.kept.clear();
  heap.Collect();
  const uint64_t resident = loam_heap_resident_bytes(heap.heap());
  const size_t released = loam_heap_release_memory(heap.heap());
  EXPECT_GE(released, 31 * kMiB);
  check(heap.Stats());
  EXPECT_GE(heap.Stats().released_bytes, released);
  EXPECT_GE(heap.Stats().mapped_bytes, 32 * kMiB);
  EXPECT_LE(loam_heap_resident_bytes(heap.heap()), resident - 31 * kMiB);
}

TEST(AddressSpaceOfAHeapTest, DefaultBaseIsTheSameEachTime) {
  const uintptr_t first = FirstObject(TestOptions());
  EXPECT_EQ(FirstObject(TestOptions()), first);
  EXPECT_EQ(FirstObjectOfAProcess(TestOptions()),
            FirstObjectOfAProcess(TestOptions()));
}

TEST(AddressSpaceOfAHeapTest, RandomBase) {
  loam_options options = TestOptions();
  options.randomize_base = 1;
  std::set<uintptr_t> arenas;
  std::set<uintptr_t> offsets;  // of the object's page in its arena
  for (int i = 0; i < 12; i++) {
    const uintptr_t address =
        i < 6 ? FirstObject(options) : FirstObjectOfAProcess(options);
    ASSERT_NE(address, 0);
    arenas.insert(address / kArenaBytes);
    offsets.insert(address % kArenaBytes / loam::kPageBytes);
  }
  EXPECT_GE(arenas.size(), 2);
  EXPECT_GE(offsets.size(), 2);

  TestHeap heap(options);
  for (int i = 0; i < 20000; i++) {
    void* object = loam_alloc_bytes(heap.m(), 16 + i % 5000);
    ASSERT_NE(object, nullptr);
    if (i % 3 == 0) heap.kept.push_back(object);
  }
  heap.Collect();
  const auto report = [](const char* line, void*) { ADD_FAILURE() << line; };
  EXPECT_EQ(loam_heap_check(heap.m(), LOAM_CHECK_FULL, report, nullptr),
            LOAM_OK);
}

TEST(AddressSpaceOfAHeapTest, RandomBaseByEnvironment) {
  ASSERT_EQ(setenv("LOAM_RANDOMIZE_BASE", "1", 1), 0);
  std::set<uintptr_t> addresses;
  for (int i = 0; i < 6; i++) addresses.insert(FirstObject(TestOptions()));
  EXPECT_GE(addresses.size(), 2);
  {
    const TestHeap heap;
    char* text = nullptr;
    size_t length = 0;
    FILE* out = open_memstream(&text, &length);
    loam_heap_options_print(heap.heap(), out);
    fclose(out);
    const std::string printed(text, length);
    free(text);
    const size_t line = printed.find("randomize_base");
    ASSERT_NE(line, std::string::npos) << printed;
    EXPECT_NE(printed.find("from LOAM_RANDOMIZE_BASE", line), std::string::npos)
        << printed;
  }
  ASSERT_EQ(setenv("LOAM_RANDOMIZE_BASE", "2", 1), 0);
  const loam_options options = TestOptions();
  loam_heap* heap = nullptr;
  EXPECT_EQ(loam_heap_create(&options, &heap), LOAM_INVALID_ARGUMENT);
  EXPECT_NE(strstr(loam_last_error(), "LOAM_RANDOMIZE_BASE"), nullptr)
      << loam_last_error();
  unsetenv("LOAM_RANDOMIZE_BASE");
}

// Something lies behind each arena, so that the next is at the next hint: the
// arenas have entries in several tables of the arena map, and no marker can use
// one table for all.
TEST(AddressSpaceOfAHeapTest, ObjectsInArenasFarApart) {
  constexpr uintptr_t kStep = loam::AddressSpace::kHintStep;
  constexpr uintptr_t kFirst =
      loam::AddressSpace::kFirstHint + kStep / 2 / kArenaBytes * kArenaBytes;
  std::vector<void*> obstacles;
  for (uintptr_t i = 0; i < 4; i++) {
    void* wanted = reinterpret_cast<void*>(kFirst + i * kStep + kArenaBytes);
    void* got = mmap(wanted, kArenaBytes, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT_NE(got, MAP_FAILED);
    obstacles.push_back(got);
  }
  {
    loam_options options = TestOptions();
    options.arena_hint = kFirst;
    options.minimum_heap_bytes = uint64_t{4} << 30;  // Only when told to.
    options.check.verify_marking = 1;
    TestHeap heap(options);
    // Lists that go from arena to arena and back: an object in three refers to
    // one of long ago.
    constexpr size_t kWords = 16 << 10;
    std::vector<loam_word*> objects;
    std::set<uintptr_t> arenas;
    while (arenas.size() < 4) {
      auto* object =
          static_cast<loam_word*>(loam_alloc_slots(heap.m(), kWords));
      ASSERT_NE(object, nullptr);
      arenas.insert(Address(object) / kArenaBytes);
      if (objects.size() % 3 == 0) {
        heap.kept.push_back(object);
        loam_store_value(heap.m(), object, &object[kWords - 1],
                         objects.empty() ? 0 : Address(objects.front()));
      } else if (objects.size() % 3 == 1) {
        loam_store_value(heap.m(), objects.back(), objects.back(),
                         Address(object));
      }
      objects.push_back(object);
    }
    heap.Collect();
    EXPECT_EQ(heap.Stats().live_objects, objects.size() - objects.size() / 3);
    for (size_t i = 0; i < objects.size(); i++) {
      ASSERT_EQ(loam_is_live_object(heap.heap(), objects[i]), i % 3 != 2) << i;
    }
    const auto report = [](const char* line, void*) { ADD_FAILURE() << line; };
    EXPECT_EQ(loam_heap_check(heap.m(), LOAM_CHECK_FULL, report, nullptr),
              LOAM_OK);
  }
  for (void* obstacle : obstacles) munmap(obstacle, kArenaBytes);
}

TEST(AddressSpaceOfAHeapTest, MachineThatLoamCannotRunOn) {
  loam::OsFacts facts = loam::AskOs(false);
  facts.page_bytes = 65536;
  loam::RuntimeOptions options;
  options.os_facts = &facts;
  loam::Runtime* runtime = nullptr;
  loam::ErrorMessage message;
  EXPECT_EQ(loam::Runtime::Create(options, &runtime, &message),
            loam::Status::kNotSupported);
  EXPECT_EQ(runtime, nullptr);
  EXPECT_STREQ(message.text,
               "loam_heap_create: the OS's page is 65536 bytes: no power of "
               "two up to loam's 8192");
}

}  // namespace
