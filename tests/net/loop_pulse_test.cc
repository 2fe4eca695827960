// SPDX-License-Identifier: Apache-2.0
#include "net/loop_pulse.h"

#include <unistd.h>

#include <optional>

#include "gtest/gtest.h"
#include "net/loop_ref.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

class LoopPulseTest : public ::testing::Test {
 protected:
  const LoopPulse& pulse() { return *ref_.pulse(); }
  bool in_turn() { return LoopPulse::InTurn(pulse().beat()); }

  TestLoop loop_{{.name = "mill"}};
  const LoopRef ref_ = loop_->ref();
};

TEST_F(LoopPulseTest, KnowsTheLoopsName) { EXPECT_EQ(pulse().name(), "mill"); }

TEST_F(LoopPulseTest, LoopIsInATurnInsideItAndOnlyThere) {
  std::optional<bool> inside;
  EXPECT_FALSE(in_turn());
  ref_.Post([&] { inside = in_turn(); });
  loop_.Step();
  EXPECT_EQ(inside, true);
  EXPECT_FALSE(in_turn());
}

TEST_F(LoopPulseTest, EachTurnHasABeatOfItsOwn) {
  uint64_t first = 0, second = 0;
  ref_.Post([&] { first = pulse().beat(); });
  loop_.Step();
  ref_.Post([&] { second = pulse().beat(); });
  loop_.Step();
  EXPECT_NE(first, second);
}

TEST_F(LoopPulseTest, LastPostsAreATurnToo) {
  std::optional<bool> inside;
  ref_.Post([&] { inside = in_turn(); });
  loop_->Stop();
  loop_->Run();
  EXPECT_EQ(inside, true);
  EXPECT_FALSE(in_turn());
}

TEST_F(LoopPulseTest, HasNoThreadBeforeTheLoopRuns) {
  EXPECT_EQ(pulse().thread(), 0);
  loop_.Step();
  EXPECT_EQ(pulse().thread(), gettid());
}

TEST_F(LoopPulseTest, EndsWithTheLastTurn) {
  loop_.Step();
  EXPECT_FALSE(pulse().ended());
  loop_->Stop();
  loop_->Run();
  EXPECT_TRUE(pulse().ended());
}

TEST_F(LoopPulseTest, EndsWithALoopThatNeverRanAndCanBeReadAfter) {
  EXPECT_FALSE(pulse().ended());
  loop_.Destroy();
  EXPECT_TRUE(pulse().ended());
  EXPECT_EQ(pulse().name(), "mill");
}

TEST_F(LoopPulseTest, ReferenceToNoLoopHasNone) { EXPECT_EQ(LoopRef().pulse(), nullptr); }

}  // namespace
}  // namespace millrace
