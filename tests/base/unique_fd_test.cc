// SPDX-License-Identifier: Apache-2.0
#include "base/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

namespace millrace {
namespace {

int OpenSomething() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(!std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);

TEST(UniqueFdTest, HoldsNothingAtFirst) {
  UniqueFd fd;
  EXPECT_FALSE(fd.valid());
  EXPECT_LT(fd.get(), 0);
}

TEST(UniqueFdTest, NegativeDescriptorIsNone) { EXPECT_FALSE(UniqueFd(-1).valid()); }

TEST(UniqueFdTest, ClosesWhenDestroyed) {
  const int number = OpenSomething();
  {
    UniqueFd fd(number);
    EXPECT_TRUE(fd.valid());
    EXPECT_EQ(fd.get(), number);
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(UniqueFdTest, MovingHandsOverWithoutClosing) {
  UniqueFd from(OpenSomething());
  const int number = from.get();
  UniqueFd to(std::move(from));
  EXPECT_FALSE(from.valid());
  EXPECT_EQ(to.get(), number);
  EXPECT_TRUE(IsOpen(number));
}

TEST(UniqueFdTest, AssignmentClosesWhatWasHeld) {
  UniqueFd first(OpenSomething());
  UniqueFd second(OpenSomething());
  const int first_number = first.get();
  const int second_number = second.get();
  first = std::move(second);
  EXPECT_FALSE(IsOpen(first_number));
  EXPECT_EQ(first.get(), second_number);
  EXPECT_TRUE(IsOpen(second_number));
}

TEST(UniqueFdTest, AssignmentToItselfKeepsIt) {
  UniqueFd fd(OpenSomething());
  UniqueFd& same = fd;
  fd = std::move(same);
  EXPECT_TRUE(fd.valid());
  EXPECT_TRUE(IsOpen(fd.get()));
}

TEST(UniqueFdTest, ReleaseGivesItAway) {
  UniqueFd fd(OpenSomething());
  const int number = fd.Release();
  EXPECT_FALSE(fd.valid());
  fd.Reset();
  ASSERT_TRUE(IsOpen(number));
  close(number);
}

TEST(UniqueFdTest, ResetClosesAndTakesTheNextOne) {
  UniqueFd fd(OpenSomething());
  const int first = fd.get();
  const int second = OpenSomething();
  fd.Reset(second);
  EXPECT_FALSE(IsOpen(first));
  EXPECT_EQ(fd.get(), second);
  fd.Reset();
  EXPECT_FALSE(IsOpen(second));
  EXPECT_FALSE(fd.valid());
}

}  // namespace
}  // namespace millrace
