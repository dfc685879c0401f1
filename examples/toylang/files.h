// Reading files.

#ifndef LOAM_EXAMPLES_TOYLANG_FILES_H_
#define LOAM_EXAMPLES_TOYLANG_FILES_H_

#include <string>

namespace toylang {

// False if that is not possible.
bool ReadFile(const std::string& path, std::string* content);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_FILES_H_
