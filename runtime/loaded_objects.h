// The program and the shared objects it has loaded: which addresses their code
// occupies, which files it comes from, and their build ids, by which tools find
// symbols.

#ifndef LOAM_RUNTIME_LOADED_OBJECTS_H_
#define LOAM_RUNTIME_LOADED_OBJECTS_H_

#include <climits>
#include <cstddef>
#include <cstdint>

namespace loam {

// A stretch of code. The strings live during the visit.
struct LoadedCode {
  uintptr_t begin;
  uintptr_t end;
  uint64_t file_offset;
  const char* file;
  const char* build_id;  // hexadecimal; "" if it has none
};

// Calls visit(code, data) for each, the program's own first, under the dynamic
// linker's lock.
void ForEachLoadedCode(void (*visit)(const LoadedCode& code, void* data),
                       void* data);

}  // namespace loam

#endif  // LOAM_RUNTIME_LOADED_OBJECTS_H_
