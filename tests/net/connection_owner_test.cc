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

TEST(ConnectionMemoryTest, LendsItsReceiveBufferAndNothingElse) {
  TestLoop loop;
  const ConnectionMemory& memory = loop->Local<ConnectionMemory>();
  const absl::Span<char> room = memory.receive_buffer();
  EXPECT_TRUE(memory.Lends(room.data()));
  EXPECT_TRUE(memory.Lends(room.data() + room.size() - 1));
  EXPECT_FALSE(memory.Lends(room.data() + room.size()));
  EXPECT_FALSE(memory.Lends(room.data() - 1));
  EXPECT_FALSE(memory.Lends("a handler's own bytes"));
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
