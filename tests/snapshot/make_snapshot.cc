// Writes snapshots of known heaps.
//
// usage: make_snapshot FOLDER        three of a service that leaks, and to the
//                                    standard output what a reader should find
//                                    in the last: lines of a name and a number
//        make_snapshot FILE OBJECTS  one of so many objects, and how long it
//                                    and a path take

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/snapshot/known_graphs.h"

namespace loam_test {
namespace {

bool Write(const TestHeap& heap, const std::string& path) {
  if (loam_heap_snapshot_write(heap.m(), path.c_str()) == LOAM_OK) return true;
  fprintf(stderr, "%s\n", loam_last_error());
  return false;
}

bool WriteLeakyService(const std::string& folder) {
  LeakyService service;
  for (int i = 1; i <= 3; i++) {
    service.Serve(20'000);
    service.Collect();
    const std::string name = "/s" + std::to_string(i) + ".heapsnapshot";
    if (!Write(service, folder + name)) return false;
  }
  struct {
    uint64_t objects, bytes, sessions;
  } sums = {};
  const auto add = [](void*, size_t bytes, const loam_type* type, void* data) {
    auto* to = static_cast<decltype(&sums)>(data);
    to->objects++;
    to->bytes += bytes;
    to->sessions +=
        type != nullptr && loam_type_name(type) == std::string("session");
    return 1;
  };
  EXPECT_EQ(loam_heap_walk(service.m(), add, &sums), LOAM_OK);
  printf("objects %" PRIu64 "\nbytes %" PRIu64 "\nsessions %" PRIu64
         "\nreferences %zu\nleaked %zu\n",
         sums.objects, sums.bytes, sums.sessions, service.References(),
         service.leaked());
  return true;
}

bool WriteManyNodes(const char* path, size_t count) {
  const ManyNodes heap(count);
  const auto seconds_of = [](auto&& run) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - begin;
    return took.count();
  };
  bool is_written = false;
  const double writing = seconds_of([&] { is_written = Write(heap, path); });
  if (!is_written) return false;
  const auto ignore = [](const loam_path_step*, void*) { return 1; };
  const double finding = seconds_of([&] {
    EXPECT_EQ(loam_find_path(heap.m(), heap.node(count / 2), ignore, nullptr),
              LOAM_OK);
  });
  const auto bytes = static_cast<double>(std::filesystem::file_size(path));
  fprintf(stderr,
          "%zu objects: snapshot of %.1f MB in %.3f s, %.0f MB/s; "
          "a path in %.3f s\n",
          count, bytes / 1e6, writing, bytes / 1e6 / writing, finding);
  return true;
}

}  // namespace
}  // namespace loam_test

int main(int count, char** arguments) {
  if (count < 2 || count > 3) {
    fprintf(stderr,
            "usage: make_snapshot FOLDER\n"
            "       make_snapshot FILE OBJECTS\n");
    return 2;
  }
  const bool is_written =
      count == 2 ? loam_test::WriteLeakyService(arguments[1])
                 : loam_test::WriteManyNodes(
                       arguments[1], static_cast<size_t>(atoll(arguments[2])));
  return is_written ? 0 : 1;
}
