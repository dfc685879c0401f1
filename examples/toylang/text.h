// Values as text, and text as numbers. Ordinary C++ strings: nothing here
// allocates on the heap.

#ifndef LOAM_EXAMPLES_TOYLANG_TEXT_H_
#define LOAM_EXAMPLES_TOYLANG_TEXT_H_

#include <string>
#include <string_view>

#include "examples/toylang/value.h"

namespace toylang {

// The shortest text that reads back as the same number.
std::string NumberText(double number);

// False unless all of `text` is a number, in decimal.
bool ParseNumber(std::string_view text, double* number);

// What print() shows: strings as they are, but quoted inside lists and maps.
std::string ValueText(Value value);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_TEXT_H_
