// Calls into the embedder. embedder_call.cc is the one file of the library that
// is compiled with exceptions: one that leaves a callback ends there, in a
// clear fatal message, since nothing below could unwind.

#ifndef LOAM_RUNTIME_BASE_EMBEDDER_CALL_H_
#define LOAM_RUNTIME_BASE_EMBEDDER_CALL_H_

#include <type_traits>

namespace loam {

// thunk(argument); an exception is fatal and names `what`.
void GuardedCall(const char* what, void (*thunk)(void* argument),
                 void* argument);

// call(); the same.
template <typename Call>
void EmbedderCall(const char* what, Call&& call) {
  GuardedCall(
      what,
      [](void* argument) {
        (*static_cast<std::remove_reference_t<Call>*>(argument))();
      },
      &call);
}

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_EMBEDDER_CALL_H_
