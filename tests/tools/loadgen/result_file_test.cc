// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/result_file.h"

#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

class ResultFileTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_.data()), nullptr); }
  void TearDown() override {
    unlink(path("link").c_str());
    unlink(path("file").c_str());
    rmdir(folder_.c_str());
  }
  std::string path(const std::string& name) const { return absl::StrCat(folder_, "/", name); }
  bool IsThere(const std::string& name) const { return access(path(name).c_str(), F_OK) == 0; }
  std::string TextOf(const std::string& name) const {
    std::ifstream file(path(name));
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  ResultFile Open(const std::string& name) const {
    return ResultFile::Open("--json", path(name)).value();
  }

  std::string folder_ = "/tmp/result_file_test.XXXXXX";
};

TEST_F(ResultFileTest, ANewFileIsNotThereBeforeItIsWritten) {
  const ResultFile file = Open("file");
  EXPECT_FALSE(IsThere("file"));
  EXPECT_TRUE(file.WriteFile("figures").ok());
  EXPECT_EQ(TextOf("file"), "figures");
}

TEST_F(ResultFileTest, AnOldFileKeepsItsTextUntilItIsWritten) {
  std::ofstream(path("file")) << "a longer text";
  const ResultFile file = Open("file");
  EXPECT_EQ(TextOf("file"), "a longer text");
  EXPECT_TRUE(file.WriteFile("figures").ok());
  EXPECT_EQ(TextOf("file"), "figures");
}

// Neither is the link lost, nor a file left where it leads to.
TEST_F(ResultFileTest, ALinkToAFileThatIsNotThereMakesIt) {
  ASSERT_EQ(symlink("file", path("link").c_str()), 0);
  const ResultFile file = Open("link");
  EXPECT_FALSE(IsThere("file"));
  EXPECT_TRUE(file.WriteFile("figures").ok());
  EXPECT_EQ(TextOf("file"), "figures");
  EXPECT_EQ(TextOf("link"), "figures");
}

TEST_F(ResultFileTest, OneFileIsKnownByAllItsNames) {
  ASSERT_EQ(symlink("file", path("link").c_str()), 0);
  for (const bool is_new : {true, false}) {
    if (!is_new) std::ofstream(path("file")) << "figures";
    EXPECT_TRUE(Open("file").IsSameAs(Open("./file")));
    EXPECT_TRUE(Open("file").IsSameAs(Open("link")));
    EXPECT_FALSE(Open("file").IsSameAs(Open("other")));
  }
}

TEST_F(ResultFileTest, NoFileIsLikeNoOther) {
  const ResultFile none = ResultFile::Open("--json", "").value();
  EXPECT_FALSE(none.IsSameAs(ResultFile::Open("--report", "").value()));
  EXPECT_FALSE(none.IsSameAs(ResultFile::Open("--json", "-").value()));
  EXPECT_TRUE(none.WriteFile("figures").ok());
}

TEST_F(ResultFileTest, WhatCannotBeMadeIsToldAtOnce) {
  const absl::Status status = ResultFile::Open("--json", path("no/file")).status();
  EXPECT_EQ(status.message(),
            absl::StrCat("--json=", folder_, "/no/file: No such file or directory"));
}

TEST_F(ResultFileTest, AFolderThatIsGoneByThenIsToldToo) {
  const ResultFile file = Open("file");
  ASSERT_EQ(rmdir(folder_.c_str()), 0);
  EXPECT_EQ(file.WriteFile("figures").message(),
            absl::StrCat("--json=", folder_, "/file: No such file or directory"));
}

}  // namespace
}  // namespace millrace
