// SPDX-License-Identifier: Apache-2.0
#include "net/restart/handover_message.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/limits.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

std::vector<AnnouncedListener> Two() {
  return {{.address = SocketAddress::Any(7007)},
          {.address = SocketAddress::Unix("/run/echo.sock"), .lent = true}};
}

absl::Status ErrorOf(absl::string_view text) { return DecodeListeners(text).status(); }

TEST(HandoverMessageTest, NothingIsTheBeginningOfAMessage) {
  for (const absl::string_view nothing : {absl::string_view(), absl::string_view("")}) {
    const auto decoded = DecodeListeners(nothing);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_FALSE(decoded->has_value());
  }
}

TEST(HandoverMessageTest, IsReadAsItWasWritten) {
  const std::string text = EncodeListeners(Two());
  EXPECT_EQ(text, "millrace-listeners 1 2\nmade *:7007\nlent unix:/run/echo.sock\n");
  EXPECT_EQ(DecodeListeners(text).value(), Two());
  EXPECT_EQ(DecodeListeners(EncodeListeners({})).value(), std::vector<AnnouncedListener>());
}

TEST(HandoverMessageTest, PathsAreExact) {
  const std::vector<AnnouncedListener> odd = {{.address = SocketAddress::Unix("/a\x1b\\x1b")}};
  EXPECT_EQ(DecodeListeners(EncodeListeners(odd)).value(), odd);
}

TEST(HandoverMessageTest, EveryPartOfItIsUnfinished) {
  const std::string text = EncodeListeners(Two());
  for (size_t bytes = 0; bytes < text.size(); ++bytes) {
    const auto part = DecodeListeners(text.substr(0, bytes));
    ASSERT_TRUE(part.ok()) << bytes << ": " << part.status();
    EXPECT_EQ(*part, std::nullopt) << bytes;
  }
}

TEST(HandoverMessageTest, AsManyAsThereMayBeAndOneMore) {
  const std::string longest(SocketAddress::kUnixPathBytesMax, 'x');
  const std::vector<AnnouncedListener> many(kListenersMax,
                                            {.address = SocketAddress::Unix(longest)});
  EXPECT_EQ(DecodeListeners(EncodeListeners(many)).value(), many);
  const absl::Status status =
      ErrorOf(absl::StrCat("millrace-listeners 1 ", kListenersMax + 1, "\n"));
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

TEST(HandoverMessageTest, AnythingElseIsAnErrorAtOnce) {
  for (const char* text :
       {"x", "millrace-listeners 2 ", "HTTP/1.1 400 Bad Request\r\n", "millrace-listeners 1 \n",
        "millrace-listeners 1 -1\n", "millrace-listeners 1 99999999999\n",
        "millrace-listeners 1 1\nmade \n", "millrace-listeners 1 1\nmade localhost:1\n",
        "millrace-listeners 1 1\n127.0.0.1:1\n", "millrace-listeners 1 0\nx",
        "millrace-listeners 1 0\nmade 127.0.0.1:1\n"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ErrorOf(text))) << text;
  }
  EXPECT_THAT(ErrorOf(absl::StrCat("millrace-listeners 1 1\nmade unix:/",
                                   std::string(kHandoverMessageBytesMax, 'x')))
                  .message(),
              HasSubstr("too long"));
}

TEST(HandoverMessageTest, OnlyTheSameUserAndRootAreTrusted) {
  EXPECT_TRUE(IsOwnOrRoot({.pid = 1, .uid = geteuid(), .gid = 12345}));
  EXPECT_TRUE(IsOwnOrRoot({.pid = 1, .uid = 0, .gid = 0}));
  EXPECT_FALSE(IsOwnOrRoot({.pid = 1, .uid = geteuid() + 1, .gid = getegid()}));
}

}  // namespace
}  // namespace millrace
