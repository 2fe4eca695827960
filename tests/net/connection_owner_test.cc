// SPDX-License-Identifier: Apache-2.0
#include "net/connection_owner.h"

#include <string>

#include "gtest/gtest.h"
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
  EXPECT_EQ(room.size(), kReceiveBufferBytes);
  EXPECT_TRUE(memory.Lends(room.data()));
  EXPECT_TRUE(memory.Lends(room.data() + room.size() - 1));
  EXPECT_FALSE(memory.Lends(room.data() + room.size()));
  const std::string elsewhere = "a handler's own bytes";
  EXPECT_FALSE(memory.Lends(elsewhere.data()));
}

}  // namespace
}  // namespace millrace
