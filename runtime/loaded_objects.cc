#include "runtime/loaded_objects.h"

#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "runtime/base/bits.h"

namespace loam {
namespace {

constexpr size_t kMaxBuildIdBytes = 64;

struct Visit {
  void (*visit)(const LoadedCode& code, void* data);
  void* data;
  bool is_first = true;
};

// The build id in a segment of notes.
void FindBuildId(const char* notes, size_t bytes,
                 char (&text)[2 * kMaxBuildIdBytes + 1]) {
  while (bytes >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    memcpy(&note, notes, sizeof(note));
    const size_t name_bytes = AlignUp(note.n_namesz, 4);
    const size_t content_bytes = AlignUp(note.n_descsz, 4);
    const size_t all = sizeof(note) + name_bytes + content_bytes;
    if (all > bytes) return;
    const char* name = notes + sizeof(note);
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        memcmp(name, "GNU", 4) == 0) {
      const auto* id =
          reinterpret_cast<const unsigned char*>(name + name_bytes);
      const size_t count = std::min<size_t>(note.n_descsz, kMaxBuildIdBytes);
      for (size_t i = 0; i < count; i++) {
        constexpr char kDigits[] = "0123456789abcdef";
        text[2 * i] = kDigits[id[i] >> 4];
        text[2 * i + 1] = kDigits[id[i] & 15];
      }
      text[2 * count] = '\0';
      return;
    }
    notes += all;
    bytes -= all;
  }
}

int VisitObject(dl_phdr_info* info, size_t, void* data) {
  auto* visit = static_cast<Visit*>(data);
  char program[PATH_MAX];
  const char* file = info->dlpi_name;
  // The program has no name here, and is the first.
  if (visit->is_first && (file == nullptr || file[0] == '\0')) {
    const ssize_t length =
        readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[length < 0 ? 0 : length] = '\0';
    file = program;
  }
  visit->is_first = false;
  char build_id[2 * kMaxBuildIdBytes + 1] = "";
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_NOTE || build_id[0] != '\0') continue;
    FindBuildId(reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr),
                header.p_memsz, build_id);
  }
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
    const uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    visit->visit({begin, begin + header.p_memsz, header.p_offset,
                  file != nullptr ? file : "", build_id},
                 visit->data);
  }
  return 0;
}

}  // namespace

void ForEachLoadedCode(void (*visit)(const LoadedCode& code, void* data),
                       void* data) {
  Visit call = {visit, data};
  dl_iterate_phdr(&VisitObject, &call);
}

}  // namespace loam
