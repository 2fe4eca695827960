// SPDX-License-Identifier: Apache-2.0
#include "tests/net/buffer_model.h"

#include <cstddef>
#include <cstdint>

#include "base/random.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

class BufferModelTest : public testing::TestWithParam<uint64_t> {};

TEST_P(BufferModelTest, AnyCallsAgreeWithAString) {
  Random random(GetParam());
  BufferModel model([&](size_t n) { return static_cast<size_t>(random.Below(n)); });
  for (int i = 0; i < 3000; ++i) model.Step();
}

INSTANTIATE_TEST_SUITE_P(Seeds, BufferModelTest, testing::Range<uint64_t>(1, 41));

}  // namespace
}  // namespace millrace
