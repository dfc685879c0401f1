// Writes the profile of a known program, for a test that gives it to pprof.
//
// usage: make_profile PATH

#include <cstdio>
#include <cstdlib>

#include "api/loam.h"

// Names to look for in the profile.
namespace known_program {

// A frame is missing from stacks if its function ends in a jump to another.
void NoTailCall() { asm volatile(""); }

void Require(bool condition) {
  if (condition) return;
  std::fprintf(stderr, "make_profile: %s\n", loam_last_error());
  std::exit(1);
}

void* kept[1000];

__attribute__((noinline)) void KeepRecords(loam_mutator* m,
                                           const loam_type* record) {
  for (void*& word : kept) {
    word = loam_alloc(m, record);
    Require(word != nullptr);
  }
}

__attribute__((noinline)) void WasteBuffers(loam_mutator* m) {
  for (int i = 0; i < 3000; i++) {
    Require(loam_alloc_bytes(m, 1000) != nullptr);
  }
}

__attribute__((noinline)) void RunProgram(loam_mutator* m,
                                          const loam_type* record) {
  KeepRecords(m, record);
  WasteBuffers(m);
  NoTailCall();
}

int WriteProfile(const char* path) {
  loam_options options;
  loam_options_init(&options);
  options.profile_rate = 1;
  loam_heap* heap;
  Require(loam_heap_create(&options, &heap) == LOAM_OK);
  loam_mutator* m;
  Require(loam_mutator_attach(heap, "main", &m) == LOAM_OK);
  loam_root* root;
  Require(loam_root_add_range(heap, kept, 1000, LOAM_POINTER, "kept", &root) ==
          LOAM_OK);
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = "record";
  info.size = 64;
  info.flags = LOAM_TYPE_HOT;  // never with a type word
  const loam_type* record;
  Require(loam_type_register(loam_heap_types(heap), &info, &record) == LOAM_OK);
  RunProgram(m, record);
  Require(loam_collect(m, LOAM_COLLECT_FULL) == LOAM_OK);
  Require(loam_heap_profile_write(heap, path) == LOAM_OK);
  Require(loam_mutator_detach(m) == LOAM_OK);
  Require(loam_heap_destroy(heap) == LOAM_OK);
  return 0;
}

}  // namespace known_program

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_profile PATH\n");
    return 2;
  }
  const int status = known_program::WriteProfile(argv[1]);
  known_program::NoTailCall();
  return status;
}
