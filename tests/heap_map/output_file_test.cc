// Files that appear whole or not at all, and text in them.

#include "runtime/output_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace loam {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class OutputFileTest : public testing::Test {
 protected:
  OutputFileTest() : path_(testing::TempDir() + "/output_file_test") {
    std::filesystem::remove(path_);
  }
  ~OutputFileTest() override { std::filesystem::remove(path_); }

  std::string Json(std::string_view text) const {
    OutputFile file(path_.c_str());
    ErrorMessage message;
    EXPECT_EQ(file.Open(&message), Status::kOk) << message.text;
    file.PutJsonString(text);
    EXPECT_EQ(file.Commit(&message), Status::kOk) << message.text;
    return ReadFile(path_);
  }

  const std::string path_;
};

TEST_F(OutputFileTest, IsNotThereBeforeItIsComplete) {
  ErrorMessage message;
  {
    OutputFile file(path_.c_str());
    ASSERT_EQ(file.Open(&message), Status::kOk);
    file.Put("text");
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  OutputFile file(path_.c_str());
  ASSERT_EQ(file.Open(&message), Status::kOk);
  file.Put("text");
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_EQ(file.Commit(&message), Status::kOk);
  EXPECT_EQ(ReadFile(path_), "text");
}

TEST_F(OutputFileTest, SeveralAtOnceDoNotMix) {
  ErrorMessage message;
  OutputFile first(path_.c_str());
  OutputFile second(path_.c_str());
  ASSERT_EQ(first.Open(&message), Status::kOk);
  ASSERT_EQ(second.Open(&message), Status::kOk);
  first.Put("first");
  second.Put("second");
  ASSERT_EQ(first.Commit(&message), Status::kOk);
  EXPECT_EQ(ReadFile(path_), "first");
  ASSERT_EQ(second.Commit(&message), Status::kOk);
  EXPECT_EQ(ReadFile(path_), "second");
}

TEST_F(OutputFileTest, TextOfAnyLength) {
  std::string expected;
  OutputFile file(path_.c_str());
  ErrorMessage message;
  ASSERT_EQ(file.Open(&message), Status::kOk);
  for (uint64_t i = 0; i < 5000; i++) {
    file.PutNumber(i);
    file.Put(" ");
    file.PutHex(i << 40);
    expected += std::to_string(i) + " ";
    char hex[32];
    snprintf(hex, sizeof(hex), "%llx",
             static_cast<unsigned long long>(i) << 40);
    expected += hex;
  }
  const std::string longer(30000, 'x');
  file.Put(longer);
  expected += longer;
  ASSERT_EQ(file.Commit(&message), Status::kOk);
  EXPECT_EQ(ReadFile(path_), expected);
}

TEST_F(OutputFileTest, JsonStrings) {
  EXPECT_EQ(Json(""), R"("")");
  EXPECT_EQ(Json("plain text"), R"("plain text")");
  EXPECT_EQ(Json("\"\\\n\t\x01\x7f"),
            R"("\u0022\u005c\u000a\u0009\u0001\u007f")");
  EXPECT_EQ(Json("<&>'"), R"("\u003c\u0026\u003e\u0027")");
  EXPECT_EQ(Json("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"),
            "\"\\u2028\\u2029\xe2\x80\xaa\"");
}

TEST_F(OutputFileTest, OnlyUtf8IsLetThrough) {
  const char* good[] = {"\xc2\x80",         "\xdf\xbf",     "\xe0\xa0\x80",
                        "\xed\x9f\xbf",     "\xef\xbf\xbf", "\xf0\x90\x80\x80",
                        "\xf4\x8f\xbf\xbf", "z\xc3\xa9z"};
  for (const char* text : good) {
    EXPECT_EQ(Json(text), "\"" + std::string(text) + "\"");
  }
  // Cut off, too long, halves of UTF-16 pairs, above the last, alone.
  const char* bad[] = {"\xc3",         "\xc0\x80",     "\xe0\x9f\xbf",
                       "\xed\xa0\x80", "\xf0\x8f\xbf", "\xf4\x90\x80\x80",
                       "\xf5",         "\x80",         "\xe2\x80"};
  for (const char* text : bad) {
    std::string expected = "\"";
    for (size_t i = 0; text[i] != '\0'; i++) expected += "\\ufffd";
    EXPECT_EQ(Json(text), expected + "\"");
  }
}

}  // namespace
}  // namespace loam
