// Compiled with exceptions, unlike the library: these callbacks throw.

#include "runtime/base/embedder_call.h"

#include <stdexcept>
#include <string>

#include "gtest/gtest.h"

namespace loam {
namespace {

TEST(EmbedderCallTest, CallsOnceAndReturns) {
  int calls = 0;
  EmbedderCall("a callback", [&] { calls++; });
  EXPECT_EQ(calls, 1);
}

TEST(EmbedderCallTest, PassesTheArgument) {
  int value = 1;
  GuardedCall(
      "a callback", [](void* argument) { *static_cast<int*>(argument) = 5; },
      &value);
  EXPECT_EQ(value, 5);
}

TEST(EmbedderCallTest, CallableKeepsItsState) {
  // The callable itself is called, not a copy of it.
  auto counter = [n = 0]() mutable { return ++n; };
  EmbedderCall("a callback", counter);
  EmbedderCall("a callback", counter);
  EXPECT_EQ(counter(), 3);
}

TEST(EmbedderCallTest, ExceptionsMayPassInsideTheCallback) {
  std::string caught;
  EmbedderCall("a callback", [&] {
    try {
      throw std::runtime_error("inside");
    } catch (const std::exception& e) {
      caught = e.what();
    }
  });
  EXPECT_EQ(caught, "inside");
}

TEST(EmbedderCallDeathTest, StandardExceptionIsNamed) {
  EXPECT_DEATH(EmbedderCall("the trace callback",
                            [] { throw std::out_of_range("index 9"); }),
               "misuse of the API: an exception left the trace callback: "
               "index 9");
}

TEST(EmbedderCallDeathTest, OtherExceptionsAreFatalToo) {
  EXPECT_DEATH(EmbedderCall("a root provider", [] { throw 42; }),
               "misuse of the API: an exception left a root provider\n");
}

TEST(EmbedderCallDeathTest, NestedCallsReportTheInnermost) {
  EXPECT_DEATH(
      EmbedderCall(
          "outer",
          [] { EmbedderCall("inner", [] { throw std::logic_error("x"); }); }),
      "an exception left inner: x");
}

}  // namespace
}  // namespace loam
