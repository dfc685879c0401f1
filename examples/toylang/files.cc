#include "examples/toylang/files.h"

#include <cstdio>

namespace toylang {

bool ReadFile(const std::string& path, std::string* content) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  char buffer[65536];
  size_t count;
  while ((count = std::fread(buffer, 1, sizeof(buffer), file)) != 0) {
    content->append(buffer, count);
  }
  const bool succeeded = std::ferror(file) == 0;
  std::fclose(file);
  return succeeded;
}

}  // namespace toylang
