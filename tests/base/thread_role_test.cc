// SPDX-License-Identifier: Apache-2.0
//
// What LOOP_ONLY forbids, no test that compiles can show; this one shows what it allows. It means
// something only with Clang's -Wthread-safety.
#include "base/thread_role.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

class Session {
 public:
  void OnData() LOOP_ONLY { Reply(); }
  void Reply() LOOP_ONLY { ++replies_; }
  int replies() const { return replies_; }

 private:
  int replies_ = 0;
};

TEST(ThreadRoleTest, LoopCodeCallsLoopCode) {
  Session session;
  auto posted = [&session] {
    AssertOnLoop();
    session.OnData();
  };
  posted();
  EXPECT_EQ(session.replies(), 1);
}

}  // namespace
}  // namespace millrace
