// SPDX-License-Identifier: Apache-2.0
#include "net/connection_owner.h"

#include "gtest/gtest.h"
#include "net/connection_table.h"
#include "net/limits.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

TEST(ConnectionMemoryTest, IsOneForAllOfALoop) {
  TestLoop loop, other;
  EXPECT_EQ(&loop->Local<ConnectionMemory>(), &loop->Local<ConnectionMemory>());
  EXPECT_NE(&loop->Local<ConnectionMemory>(), &other->Local<ConnectionMemory>());
}

TEST(ConnectionMemoryTest, ATurnsReadGoesWhereTheLimitsSay) {
  TestLoop loop;
  ConnectionCounters counters;
  const ConnectionTable table(*loop, {.read_bytes_per_turn = 100}, counters);
  EXPECT_EQ(table.memory().receive_buffer().size(), kReceiveBufferBytes);
  EXPECT_EQ(table.room().data(), table.memory().receive_buffer().data());
  EXPECT_EQ(table.room().size(), 100u);
}

}  // namespace
}  // namespace millrace
