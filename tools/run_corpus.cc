// SPDX-License-Identifier: Apache-2.0
//
// In libFuzzer's place: runs LLVMFuzzerTestOneInput() over the files named on the command line,
// each a test of its own, then over the empty input and over made up ones, the same in each run.

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace millrace {
namespace {

constexpr int kInputsMadeUp = 1000;
constexpr size_t kInputBytesMax = 4096;

// In memory of just its size, so that AddressSanitizer guards its end.
void RunInput(const std::string& bytes) {
  std::vector<uint8_t> input(bytes.begin(), bytes.end());
  input.shrink_to_fit();
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

class CorpusTest : public testing::Test {
 public:
  explicit CorpusTest(std::string path) : path_(std::move(path)) {}

  void TestBody() override {
    std::ifstream file(path_, std::ios::binary);
    ASSERT_TRUE(file.is_open()) << path_;
    RunInput(std::string(std::istreambuf_iterator<char>(file), {}));
  }

 private:
  std::string path_;
};

TEST(MadeUpTest, AnEmptyInputIsAnInput) { RunInput(""); }

TEST(MadeUpTest, AnyBytesWillDo) {
  std::mt19937_64 random(1);
  for (int i = 0; i < kInputsMadeUp; ++i) {
    std::string bytes(random() % kInputBytesMax, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    RunInput(bytes);
  }
}

void RegisterInput(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  testing::RegisterTest("CorpusTest", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [path]() -> testing::Test* { return new CorpusTest(path); });
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) millrace::RegisterInput(argv[i]);
  return RUN_ALL_TESTS();
}
