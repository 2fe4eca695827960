// SPDX-License-Identifier: Apache-2.0
#include "net/poller_named.h"

#include <memory>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(PollerNamedTest, MakesThePollerOfThatName) {
  for (absl::string_view name : {"epoll", "poll", "select"}) {
    const absl::StatusOr<PollerFactory> factory = PollerNamed(name);
    ASSERT_TRUE(factory.ok()) << factory.status();
    const PollerFactory copy = *factory;  // As several loops take it.
    EXPECT_EQ((*factory)().value()->name(), name);
    EXPECT_EQ(copy().value()->name(), name);
  }
}

TEST(PollerNamedTest, OtherNamesAreRefusedWithAListOfThese) {
  for (absl::string_view name : {"", "kqueue", "Epoll", "epoll "}) {
    const absl::Status status = PollerNamed(name).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(status.message(),
                AllOf(HasSubstr("epoll"), HasSubstr("poll"), HasSubstr("select")));
  }
}

}  // namespace
}  // namespace millrace
