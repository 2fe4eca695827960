// SPDX-License-Identifier: Apache-2.0
#include "net/address_prefix.h"

#include <string>
#include <vector>

#include "absl/hash/hash_testing.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

SocketAddress Ip(absl::string_view ip) {
  const bool is_ipv6 = absl::string_view(ip).find(':') != ip.npos;
  return SocketAddress::Parse(is_ipv6 ? absl::StrCat("[", ip, "]:7") : absl::StrCat(ip, ":7"))
      .value();
}

AddressPrefix Prefix(absl::string_view text) { return AddressPrefix::Parse(text).value(); }

TEST(AddressPrefixTest, ReadsAndWrites) {
  const struct {
    const char *text, *written;
  } kCases[] = {
      {"10.0.0.0/8", "10.0.0.0/8"},
      {"192.0.2.1", "192.0.2.1/32"},
      {"0.0.0.0/0", "0.0.0.0/0"},
      {"10.64.0.0/10", "10.64.0.0/10"},
      {"2001:db8::/32", "2001:db8::/32"},
      {"::1", "::1/128"},
      {"::/0", "::/0"},
      {"2001:DB8:0:0::/64", "2001:db8::/64"},
      {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
      {"::ffff:192.0.2.1", "192.0.2.1/32"},
      {"::ffff:0.0.0.0/96", "0.0.0.0/0"},
      {"10.0.0.0/08", "10.0.0.0/8"},
  };
  for (const auto& one : kCases) {
    const auto prefix = AddressPrefix::Parse(one.text);
    ASSERT_TRUE(prefix.ok()) << prefix.status();
    EXPECT_EQ(prefix->ToString(), one.written);
    EXPECT_EQ(Prefix(prefix->ToString()), *prefix);
  }
}

TEST(AddressPrefixTest, ErrorsNameTheTextAndWhatIsWrong) {
  const struct {
    std::string text;
    const char* why;
  } kCases[] = {
      {"", "\"\" is not an IP address"},
      {"/8", "\"\" is not an IP address"},
      {"10.0.0/8", "\"10.0.0\" is not an IP address"},
      {"10.0.0.0:80", "is not an IP address"},
      {"example.org/8", "is not an IP address"},
      {"[::1]", "is not an IP address"},
      {"fe80::%eth0/10", "is not an IP address"},
      {"10.0.0.0/", "\"\" is not a number from 0 to 32"},
      {"10.0.0.0/33", "\"33\" is not a number from 0 to 32"},
      {"10.0.0.0/-1", "\"-1\" is not a number"},
      {"10.0.0.0/+8", "\"+8\" is not a number"},
      {"10.0.0.0/ 8", "\" 8\" is not a number"},
      {"10.0.0.0/8/8", "\"8/8\" is not a number"},
      {"10.0.0.0/99999999999", "is not a number"},
      {"::/129", "\"129\" is not a number from 0 to 128"},
      {"10.1.0.0/8", "perhaps 10.0.0.0/8 was meant"},
      {"2001:db8::1/64", "perhaps 2001:db8::/64 was meant"},
      {"::ffff:10.0.0.0/90", "96 bits or more"},
      {"::ffff:10.1.0.0/104", "perhaps 10.0.0.0/8 was meant"},
      {std::string("10.0.0.0/8\0", 11), "contains a NUL"},
  };
  for (const auto& one : kCases) {
    const auto prefix = AddressPrefix::Parse(one.text);
    ASSERT_TRUE(absl::IsInvalidArgument(prefix.status())) << one.text;
    EXPECT_THAT(prefix.status().message(), HasSubstr(absl::StrCat("\"", one.text, "\"")));
    EXPECT_THAT(prefix.status().message(), HasSubstr(one.why));
  }
}

TEST(AddressPrefixTest, ContainsThoseThatBeginLikeIt) {
  const struct {
    const char *prefix, *inside, *outside;
  } kCases[] = {
      {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
      {"10.64.0.0/10", "10.127.255.255", "10.128.0.0"},
      {"192.0.2.4/31", "192.0.2.5", "192.0.2.6"},
      {"192.0.2.1", "192.0.2.1", "192.0.2.0"},
      {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
      {"2001:db8::/61", "2001:db8:0:7::1", "2001:db8:0:8::"},
      {"::1", "::1", "::2"},
      {"::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"},
      {"10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.0.0.0"},
      {"0.0.0.0/0", "203.0.113.9", "2001:db8::1"},
      {"::/0", "2001:db8::1", "203.0.113.9"},
      {"::/0", "::", "::ffff:203.0.113.9"},
  };
  for (const auto& one : kCases) {
    EXPECT_TRUE(Prefix(one.prefix).Contains(Ip(one.inside))) << one.prefix << " " << one.inside;
    EXPECT_FALSE(Prefix(one.prefix).Contains(Ip(one.outside))) << one.prefix << " " << one.outside;
  }
}

TEST(AddressPrefixTest, UnixPeersAreInNoneButTheirOwn) {
  const SocketAddress unnamed = SocketAddress::Unix("@peer");
  EXPECT_FALSE(Prefix("0.0.0.0/0").Contains(unnamed));
  EXPECT_FALSE(Prefix("::/0").Contains(unnamed));
  const AddressPrefix all = AddressPrefix::Of(unnamed, 32, 64);
  EXPECT_TRUE(all.Contains(SocketAddress::Unix("/other")));
  EXPECT_FALSE(all.Contains(Ip("127.0.0.1")));
  EXPECT_EQ(all.ToString(), "unix:");
}

TEST(AddressPrefixTest, OfAPeerItHasThoseWhoShareItsBits) {
  EXPECT_EQ(AddressPrefix::Of(Ip("192.0.2.77"), 32, 64), Prefix("192.0.2.77"));
  EXPECT_EQ(AddressPrefix::Of(Ip("192.0.2.77"), 24, 64), Prefix("192.0.2.0/24"));
  EXPECT_EQ(AddressPrefix::Of(Ip("2001:db8::77"), 32, 64), Prefix("2001:db8::/64"));
  EXPECT_EQ(AddressPrefix::Of(Ip("2001:db8::77"), 32, 128), Prefix("2001:db8::77"));
  EXPECT_EQ(AddressPrefix::Of(Ip("2001:db8::77"), 0, 0), Prefix("::/0"));
}

TEST(AddressPrefixTest, HashesAsItCompares) {
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly(
      {Prefix("0.0.0.0/0"), Prefix("::/0"), Prefix("10.0.0.0/8"), Prefix("10.0.0.0/9"),
       Prefix("a00::/8"), Prefix("::ffff:10.0.0.0/104"),
       AddressPrefix::Of(SocketAddress::Unix("@a"), 32, 64)}));
}

TEST(AddressPrefixTest, AListIsReadWholeOrNotAtAll) {
  EXPECT_TRUE(AddressPrefix::ParseList("").value().empty());
  const auto two = AddressPrefix::ParseList("10.0.0.0/8,::1");
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_THAT(*two, ::testing::ElementsAre(Prefix("10.0.0.0/8"), Prefix("::1")));
  EXPECT_FALSE(AddressPrefix::ParseList("10.0.0.0/8,").ok());
  EXPECT_FALSE(AddressPrefix::ParseList("10.0.0.0/8, ::1").ok());
  EXPECT_TRUE(AnyContains(*two, Ip("::1")));
  EXPECT_FALSE(AnyContains(*two, Ip("::2")));
  EXPECT_FALSE(AnyContains({}, Ip("::2")));
}

TEST(AddressPrefixTest, LocalPeersAreThoseOfThisMachine) {
  EXPECT_TRUE(IsLocalPeer(Ip("127.0.0.1")));
  EXPECT_TRUE(IsLocalPeer(Ip("127.8.9.10")));
  EXPECT_TRUE(IsLocalPeer(Ip("::1")));
  EXPECT_TRUE(IsLocalPeer(Ip("::ffff:127.0.0.1")));
  EXPECT_TRUE(IsLocalPeer(SocketAddress::Unix("@peer")));
  EXPECT_FALSE(IsLocalPeer(Ip("128.0.0.1")));
  EXPECT_FALSE(IsLocalPeer(Ip("::2")));
}

}  // namespace
}  // namespace millrace
