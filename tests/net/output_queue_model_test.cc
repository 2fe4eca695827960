// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "tests/net/output_queue_fixture.h"

namespace millrace {
namespace {

// All kinds in any order, cut anywhere, against a string.
class OutputQueueModelTest : public OutputQueueTest, public ::testing::WithParamInterface<int> {
 protected:
  std::string Bytes() {
    const size_t size = random_.Below(4) == 0 ? random_.Below(9000) : random_.Below(60);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(next_++);
    return bytes;
  }

  void AddSomething() {
    std::string bytes = Bytes();
    model_ += bytes;
    switch (random_.Below(6)) {
      case 0:
        return queue().Append(bytes);
      case 1:
        return queue().AppendOwned(std::move(bytes));
      case 2: {
        Buffer buffer;
        buffer.Append(bytes);
        return queue().AppendOwned(std::move(buffer));
      }
      case 3: {
        absl::Cord cord(bytes.substr(0, bytes.size() / 3));
        cord.Append(bytes.substr(bytes.size() / 3));
        return queue().AppendOwned(cord);
      }
      case 4: {
        const off_t before = static_cast<off_t>(random_.Below(100));
        in_files_ += bytes.size();
        return queue().AppendFile(FileWith(std::string(before, '#') + bytes + "###"), before,
                                  bytes.size());
      }
      default:
        loans_.push_back(std::make_unique<std::string>(std::move(bytes)));
        return queue().AppendBorrowed(*loans_.back());
    }
  }

  void WriteSome() {
    if (queue().empty()) return;
    sink_.room = random_.Below(3) == 0 ? Sink::kMuch : random_.Below(6000);
    sink_.per_call = 1 + random_.Below(3000);
    const IoResult result = queue().WriteTo(sink_);
    ASSERT_TRUE(result.ok() && result.kind() != IoResult::kEnd) << result;
  }

  // As at the end of a handler's call: what was lent is written over.
  void EndLoans() {
    queue().OwnBorrowed();
    for (auto& loan : loans_) loan->assign(loan->size(), '!');
    loans_.clear();
  }

  void Check() {
    ASSERT_EQ(queue().bytes() + sink_.taken.size(), model_.size());
    ASSERT_EQ(queue().empty(), queue().bytes() == 0);
    ASSERT_LE(queue().memory_bytes(), queue().bytes());
    ASSERT_LE(queue().bytes() - queue().memory_bytes(), in_files_);
  }

  Random random_{static_cast<uint64_t>(GetParam())};
  std::string model_;
  uint64_t in_files_ = 0;
  uint8_t next_ = 0;
  std::vector<std::unique_ptr<std::string>> loans_;
};

TEST_P(OutputQueueModelTest, NothingIsLostDoubledOrSwapped) {
  for (int i = 0; i < 400; ++i) {
    for (size_t n = random_.Below(5); n > 0; --n) AddSomething();
    for (size_t n = random_.Below(7); n > 0; --n) WriteSome();
    EndLoans();
    Check();
  }
  sink_.room = Sink::kMuch;
  Drain();
  Check();
  EXPECT_TRUE(queue().empty());
  EXPECT_EQ(queue().memory_bytes(), 0u);
  EXPECT_TRUE(sink_.taken == model_);
}

INSTANTIATE_TEST_SUITE_P(Seeds, OutputQueueModelTest, ::testing::Range(1, 13));

}  // namespace
}  // namespace millrace
