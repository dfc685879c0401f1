#include "runtime/base/fatal.h"

#include <string>

#include "gtest/gtest.h"

namespace loam {
namespace {

void PrintState(void* data) {
  PrintRaw("state of %s\n", static_cast<const char*>(data));
}
void Notify(void* data, const char* message) {
  PrintRaw("%s hears: %s\n", static_cast<const char*>(data), message);
}
void FailAgain(void*) { FatalBug("a failure while reporting"); }

char heap_a[] = "heap A";
char heap_b[] = "heap B";
constexpr FatalContext kContextA = {PrintState, Notify, heap_a};
constexpr FatalContext kContextB = {PrintState, Notify, heap_b};

TEST(FatalDeathTest, MessageOnOneLine) {
  EXPECT_DEATH(FatalBug("cell %d of %s", 7, "span"),
               "^loam: internal error: cell 7 of span\n$");
  EXPECT_DEATH(FatalMisuse("argument '%s'", "size"),
               "^loam: misuse of the API: argument 'size'\n$");
}

TEST(FatalDeathTest, EndsWithAbort) {
  EXPECT_EXIT(FatalBug("x"), testing::KilledBySignal(SIGABRT), "x");
}

TEST(FatalDeathTest, HeapContributesItsStateAndIsNotified) {
  EXPECT_DEATH(
      {
        const ScopedFatalContext context(&kContextA);
        FatalBug("bad");
      },
      "^loam: internal error: bad\nstate of heap A\nheap A hears: bad\n$");
}

TEST(FatalDeathTest, ContextsNest) {
  EXPECT_DEATH(
      {
        const ScopedFatalContext outer(&kContextA);
        const ScopedFatalContext inner(&kContextB);
        FatalBug("bad");
      },
      "heap B hears: bad\n$");
  EXPECT_DEATH(
      {
        const ScopedFatalContext outer(&kContextA);
        {
          const ScopedFatalContext inner(&kContextB);
        }
        FatalBug("bad");
      },
      "heap A hears: bad\n$");
  EXPECT_DEATH(
      {
        {
          const ScopedFatalContext context(&kContextA);
        }
        FatalBug("bad");
      },
      "^loam: internal error: bad\n$");
}

TEST(FatalDeathTest, FailureWhileReportingDoesNotRecurse) {
  const FatalContext context = {FailAgain, Notify, heap_a};
  EXPECT_DEATH(
      {
        const ScopedFatalContext scope(&context);
        FatalMisuse("first");
      },
      "^loam: misuse of the API: first\n"
      "loam: internal error: a failure while reporting\n$");
}

TEST(FatalDeathTest, LongMessagesAreCutNotOverrun) {
  const std::string text(5000, 'y');
  EXPECT_DEATH(FatalBug("%s", text.c_str()), "^loam: internal error: y+$");
}

TEST(FatalDeathTest, CheckFailsInEveryBuild) {
  const int one = 1;
  LOAM_CHECK(one == 1, "never printed");
  EXPECT_DEATH(LOAM_CHECK(one == 2, "one is %d", one),
               "internal error: one is 1");
}

TEST(FatalDeathTest, DebugCheckNamesPlaceAndCondition) {
  int evaluated = 0;
#ifdef NDEBUG
  LOAM_DCHECK(++evaluated == 7);
  EXPECT_EQ(evaluated, 0) << "not evaluated without debug checks";
#else
  LOAM_DCHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
  EXPECT_DEATH(LOAM_DCHECK(evaluated == 7),
               "fatal_test.cc:[0-9]+: check failed: evaluated == 7");
#endif
}

}  // namespace
}  // namespace loam
