#include "runtime/heap/self_check.h"

#include <chrono>
#include <cstdio>
#include <string>

#include "gtest/gtest.h"
#include "runtime/heap/heap_constants.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

std::string Problem(const OsFacts& facts) {
  char problem[256] = "";
  const bool ok = SelfCheck(facts, problem, sizeof(problem));
  EXPECT_EQ(ok, problem[0] == '\0');
  return problem;
}

TEST(SelfCheckTest, ThisMachineWillDo) {
  EXPECT_EQ(Problem(AskOs(false)), "");
  const OsFacts facts = AskOs(true);
  EXPECT_EQ(Problem(facts), "");
  EXPECT_EQ(facts.page_bytes, os::PageBytes());
  EXPECT_NE(facts.mapped_address, 0);
}

TEST(SelfCheckTest, PagesOfOtherSizes) {
  OsFacts facts = AskOs(false);
  facts.page_bytes = 4096 / 2;  // Smaller pages do no harm.
  EXPECT_EQ(Problem(facts), "");
  facts.page_bytes = 8192;
  EXPECT_EQ(Problem(facts),
            "the OS's page is 8192 bytes; this library is compiled for at most "
            "4096 (kOsPageBytes)");
  for (const size_t bytes : {0, 3000, 12288, 16384, 65536}) {
    facts.page_bytes = bytes;
    EXPECT_EQ(Problem(facts), "the OS's page is " + std::to_string(bytes) +
                                  " bytes: no power of two up to loam's 8192");
  }
}

TEST(SelfCheckTest, HugePagesOfOtherSizes) {
  OsFacts facts = AskOs(false);
  EXPECT_EQ(facts.huge_page_bytes, 0) << "not asked for";
  facts.huge_page_bytes = os::kHugePageBytes;
  EXPECT_EQ(Problem(facts), "");
  facts.huge_page_bytes = size_t{32} << 20;
  EXPECT_EQ(Problem(facts),
            "options.huge_pages: the OS's huge page is 33554432 bytes; this "
            "library is compiled for 2097152 (os::kHugePageBytes)");
}

TEST(SelfCheckTest, AddressesThatDoNotFit) {
  if (!kHasUserAddressBits) GTEST_SKIP() << "such addresses are not taken";
  OsFacts facts = AskOs(false);
  facts.mapped_address = (uintptr_t{1} << 48) - 4096;
  EXPECT_EQ(Problem(facts), "");
  facts.mapped_address = uintptr_t{1} << 48;
  EXPECT_EQ(Problem(facts),
            "the OS places memory at 0x1000000000000; this library is compiled "
            "for addresses of 48 bits (kAddressBits)");
}

TEST(SelfCheckTest, WhatItTakes) {
  for (const bool wants_huge_pages : {false, true}) {
    constexpr int kRounds = 1000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; i++) Problem(AskOs(wants_huge_pages));
    const std::chrono::duration<double, std::micro> taken =
        std::chrono::steady_clock::now() - start;
    std::printf("%s huge pages: %.1f us\n",
                wants_huge_pages ? "with" : "without", taken.count() / kRounds);
  }
}

}  // namespace
}  // namespace loam
