#include "runtime/base/embedder_call.h"

#include <exception>

#include "runtime/base/fatal.h"

namespace loam {

void GuardedCall(const char* what, void (*thunk)(void* argument),
                 void* argument) {
  try {
    thunk(argument);
  } catch (const std::exception& e) {
    FatalMisuse("an exception left %s: %s", what, e.what());
  } catch (...) {
    FatalMisuse("an exception left %s", what);
  }
}

}  // namespace loam
