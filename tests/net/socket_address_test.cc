// SPDX-License-Identifier: Apache-2.0
#include "net/socket_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/un.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/hash/hash_testing.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

SocketAddress Parsed(absl::string_view text) {
  absl::StatusOr<SocketAddress> address = SocketAddress::Parse(text);
  EXPECT_TRUE(address.ok()) << address.status();
  return address.value_or(SocketAddress());
}

// What bind(2) would get, taken back in again.
SocketAddress ThroughSockaddr(const SocketAddress& address) {
  sockaddr_storage storage;
  const socklen_t bytes = address.ToSockaddr(storage);
  return SocketAddress::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), bytes).value();
}

// A Unix socket's address with just these bytes in sun_path.
absl::StatusOr<SocketAddress> FromUnixBytes(absl::string_view bytes) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, bytes.data(), bytes.size());
  return SocketAddress::FromSockaddr(reinterpret_cast<sockaddr*>(&address),
                                     offsetof(sockaddr_un, sun_path) + bytes.size());
}

TEST(SocketAddressTest, EveryFormIsWrittenAsItWasRead) {
  for (absl::string_view text :
       {"127.0.0.1:7007", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:7007", "[::]:80",
        "[2001:db8::7]:443", "[fe80::1%lo]:7", "*:7007", "*:0", "unix:/path.sock", "unix:relative",
        "unix:@abstract", "unix:/with:colon", "unix:/with space, and comma"}) {
    EXPECT_EQ(Parsed(text).ToString(), text);
  }
}

// It may be what a peer has chosen, and is shown in terminals.
TEST(SocketAddressTest, WhatIsNotPrintableIsShownByItsNumber) {
  const struct {
    absl::string_view path, shown;
  } cases[] = {
      {"/it's \"a\\b\"", "/it's \"a\\b\""},
      {"/caf\u00e9 \u4e16", "/caf\u00e9 \u4e16"},
      {"/a\x1b[2J\n\x7f", "/a\\x1b[2J\\x0a\\x7f"},
      {"/\u00a0\u009b1m", "/\u00a0\\xc2\\x9b1m"},
      {"/caf\xe9", "/caf\\xe9"},
      {absl::string_view("@a\0b", 4), "@a\\x00b"},
  };
  for (const auto& [path, shown] : cases) {
    const SocketAddress address = SocketAddress::Parse(absl::StrCat("unix:", path)).value();
    EXPECT_EQ(absl::StrCat(address), absl::StrCat("unix:", shown));
    EXPECT_EQ(address.ToString(), absl::StrCat("unix:", path)) << "exact, to be read again";
  }
  const absl::Status wrong = SocketAddress::Parse("\x1b[2J:x").status();
  EXPECT_THAT(std::string(wrong.message()), Not(HasSubstr("\x1b")));
}

TEST(SocketAddressTest, PartsComeOutAsTheyWentIn) {
  EXPECT_EQ(Parsed("127.0.0.1:7007").family(), AF_INET);
  EXPECT_EQ(Parsed("127.0.0.1:7007").port(), 7007);
  EXPECT_EQ(Parsed("[::1]:80").family(), AF_INET6);
  EXPECT_EQ(Parsed("[::1]:80").port(), 80);
  EXPECT_EQ(Parsed("*:9").port(), 9);
  EXPECT_EQ(Parsed("*:9").family(), AF_INET6);
  EXPECT_TRUE(Parsed("*:9").is_any());
  EXPECT_FALSE(Parsed("[::]:9").is_any());
  EXPECT_EQ(Parsed("unix:@x").family(), AF_UNIX);
  EXPECT_EQ(Parsed("unix:@x").unix_path(), "@x");
  EXPECT_TRUE(Parsed("unix:@x").is_unix());
  EXPECT_EQ(Parsed("unix:/x").port(), 0);
  EXPECT_EQ(Parsed("[::1]:1").unix_path(), "");
}

TEST(SocketAddressTest, ShortcutsMeanWhatTheTextMeans) {
  EXPECT_EQ(SocketAddress::Any(7), Parsed("*:7"));
  EXPECT_EQ(SocketAddress::Loopback(7), Parsed("127.0.0.1:7"));
  EXPECT_EQ(SocketAddress::Unix("/x"), Parsed("unix:/x"));
  EXPECT_EQ(SocketAddress::Unix("@x"), Parsed("unix:@x"));
}

TEST(SocketAddressTest, UnsetIsReachableFromThisMachineOnly) {
  EXPECT_EQ(SocketAddress().ToString(), "127.0.0.1:0");
}

TEST(SocketAddressTest, ScopeMayBeANumber) {
  EXPECT_EQ(Parsed(absl::StrCat("[fe80::1%", if_nametoindex("lo"), "]:7")),
            Parsed("[fe80::1%lo]:7"));
  EXPECT_EQ(Parsed("[fe80::1%4000000000]:7").ToString(), "[fe80::1%4000000000]:7");
}

TEST(SocketAddressTest, MappedIpv4IsReadAsIpv4) {
  EXPECT_EQ(Parsed("[::ffff:10.1.2.3]:80"), Parsed("10.1.2.3:80"));
}

TEST(SocketAddressTest, ErrorsNameTheTextAndWhatIsWrongWithIt) {
  struct {
    std::string text, why;
  } const kCases[] = {
      {"", "no port"},
      {"7007", "no port"},
      {"127.0.0.1", "no port"},
      {"127.0.0.1:", "no port after"},
      {"127.0.0.1:65536", "port \"65536\" is not a number from 0 to 65535"},
      {"127.0.0.1:99999999999999999999", "is not a number from 0 to 65535"},
      {"127.0.0.1:-1", "port \"-1\""},
      {"127.0.0.1:+1", "port \"+1\""},
      {"127.0.0.1: 1", "port \" 1\""},
      {"127.0.0.1:1 ", "port \"1 \""},
      {"127.0.0.1:http", "port \"http\""},
      {"127.0.0.1:0x50", "port \"0x50\""},
      {":7007", "\"*\" means all"},
      {"127.0.0:80", "\"127.0.0\" is not an IP address"},
      {"127.0.0.256:80", "is not an IP address"},
      {"127.0.0.01:80", "is not an IP address"},
      {"0x7f.0.0.1:80", "is not an IP address"},
      {" 127.0.0.1:80", "is not an IP address"},
      {"localhost:80", "host names are not looked up"},
      {"**:80", "is not an IP address"},
      {"::1:80", "in brackets"},
      {"fe80::1%lo:80", "in brackets"},
      {"[::1]", "no port"},
      {"[::1]80", "no port"},
      {"[::1]:", "no port after"},
      {"[::1:80", "no \"]\""},
      {"[127.0.0.1]:80", "\"127.0.0.1\" is not an IPv6 address"},
      {"[]:80", "is not an IPv6 address"},
      {"[*]:80", "is not an IPv6 address"},
      {"[fe80::1%]:80", "no interface \"\""},
      {"[fe80::1%0]:80", "no interface \"0\""},
      {"[fe80::1%no-such-if]:80", "no interface \"no-such-if\""},
      {"[fe80::1%a%lo]:80", "no interface \"a%lo\""},
      {"unix:", "no path"},
      {"unix:@", "no name after"},
      {"Unix:/x", "port \"/x\""},
      {"/path.sock", "or unix:PATH"},
      {"unix:/" + std::string(107, 'x'), "the path has 108 bytes, and 107 are the most"},
      {"unix:@" + std::string(107, 'x'), "the path has 108 bytes"},
      {std::string("127.0.0.1\0x:80", 14), "NUL"},
      {std::string("unix:/a\0z", 9), "NUL"},
  };
  for (const auto& [text, why] : kCases) {
    const absl::Status status = SocketAddress::Parse(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text << ": " << status;
    EXPECT_THAT(status.message(),
                HasSubstr(absl::StrCat("address \"", absl::CHexEscape(text), "\": ")))
        << text;
    EXPECT_THAT(status.message(), HasSubstr(why)) << text;
  }
}

TEST(SocketAddressTest, LongestPathsAreTaken) {
  for (const char* first : {"/", "@"}) {
    const std::string path = first + std::string(106, 'x');
    EXPECT_EQ(ThroughSockaddr(Parsed("unix:" + path)).unix_path(), path);
  }
}

TEST(SocketAddressTest, ListIsSplitAtCommas) {
  const absl::StatusOr<std::vector<SocketAddress>> list =
      SocketAddress::ParseList("127.0.0.1:1,[::1]:2,unix:/x");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(*list,
              ::testing::ElementsAre(Parsed("127.0.0.1:1"), Parsed("[::1]:2"), Parsed("unix:/x")));
}

TEST(SocketAddressTest, ListWithOneBadAddressIsBad) {
  EXPECT_THAT(SocketAddress::ParseList("*:1,oops,*:2").status().message(), HasSubstr("\"oops\""));
  EXPECT_FALSE(SocketAddress::ParseList("*:1,").ok());
  EXPECT_FALSE(SocketAddress::ParseList("").ok());
}

TEST(SocketAddressTest, SockaddrHoldsTheSameAddress) {
  for (absl::string_view text : {"1.2.3.4:5", "[::1]:5", "[fe80::1%lo]:5", "unix:/x", "unix:@x"}) {
    EXPECT_EQ(ThroughSockaddr(Parsed(text)), Parsed(text));
  }
}

TEST(SocketAddressTest, SockaddrIsInNetworkOrder) {
  sockaddr_storage storage;
  ASSERT_EQ(Parsed("1.2.3.4:258").ToSockaddr(storage), sizeof(sockaddr_in));
  const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(storage);
  EXPECT_EQ(ipv4.sin_family, AF_INET);
  EXPECT_EQ(ntohs(ipv4.sin_port), 258);
  EXPECT_EQ(ntohl(ipv4.sin_addr.s_addr), 0x01020304u);
}

TEST(SocketAddressTest, AnyIsTheIpv6Wildcard) {
  EXPECT_EQ(ThroughSockaddr(SocketAddress::Any(5)), Parsed("[::]:5"));
}

TEST(SocketAddressTest, MappedPeerIsShownAsIpv4) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(80);
  ASSERT_EQ(inet_pton(AF_INET6, "::ffff:10.1.2.3", &address.sin6_addr), 1);
  EXPECT_EQ(
      SocketAddress::FromSockaddr(reinterpret_cast<sockaddr*>(&address), sizeof(address)).value(),
      Parsed("10.1.2.3:80"));
}

TEST(SocketAddressTest, UnnamedUnixPeerHasAnEmptyPath) {
  const SocketAddress unnamed = FromUnixBytes("").value();
  EXPECT_TRUE(unnamed.is_unix());
  EXPECT_EQ(unnamed.unix_path(), "");
  EXPECT_EQ(unnamed.ToString(), "unix:");
  EXPECT_EQ(ThroughSockaddr(unnamed), unnamed);
}

TEST(SocketAddressTest, UnixPathEndsAtItsNulAbstractNameDoesNot) {
  EXPECT_EQ(FromUnixBytes(absl::string_view("/x\0junk", 7)).value().unix_path(), "/x");
  const SocketAddress abstract = FromUnixBytes(absl::string_view("\0a\0b", 4)).value();
  EXPECT_EQ(abstract.unix_path(), absl::string_view("@a\0b", 4));
  EXPECT_EQ(ThroughSockaddr(abstract), abstract);
  EXPECT_EQ(Parsed(abstract.ToString()), abstract);
}

TEST(SocketAddressTest, FullSunPathIsKept) {
  for (char first : {'/', '\0'}) {
    const std::string path = std::string(1, first) + std::string(107, 'x');
    const SocketAddress address = FromUnixBytes(path).value();
    EXPECT_EQ(address.unix_path().size(), 108u);
    EXPECT_EQ(ThroughSockaddr(address), address);
  }
}

TEST(SocketAddressTest, FileNamedWithAnAtIsNoAbstractName) {
  const SocketAddress file = FromUnixBytes(absl::string_view("@file\0", 6)).value();
  EXPECT_EQ(file.ToString(), "unix:./@file");
  EXPECT_FALSE(FromUnixBytes("@" + std::string(107, 'x')).ok());
}

TEST(SocketAddressTest, FamiliesAndLengthsThatCannotBeAreRefused) {
  sockaddr_storage storage;
  const auto refused = [&](socklen_t bytes) {
    const auto* address = reinterpret_cast<const sockaddr*>(&storage);
    return absl::IsInvalidArgument(SocketAddress::FromSockaddr(address, bytes).status());
  };
  Parsed("1.2.3.4:5").ToSockaddr(storage);
  EXPECT_TRUE(refused(sizeof(sockaddr_in) - 1));
  EXPECT_TRUE(refused(1));
  EXPECT_TRUE(refused(0));
  Parsed("[::1]:5").ToSockaddr(storage);
  EXPECT_TRUE(refused(sizeof(sockaddr_in6) - 1));
  Parsed("unix:/x").ToSockaddr(storage);
  EXPECT_TRUE(refused(sizeof(sockaddr_un) + 1));
  storage.ss_family = AF_NETLINK;
  EXPECT_TRUE(refused(sizeof(storage)));
}

TEST(SocketAddressTest, WithPortChangesOnlyThePort) {
  EXPECT_EQ(Parsed("1.2.3.4:5").WithPort(6), Parsed("1.2.3.4:6"));
  EXPECT_EQ(Parsed("[fe80::1%lo]:5").WithPort(6), Parsed("[fe80::1%lo]:6"));
  EXPECT_EQ(Parsed("*:5").WithPort(6), Parsed("*:6"));
  EXPECT_EQ(Parsed("unix:/x").WithPort(6), Parsed("unix:/x"));
}

TEST(SocketAddressTest, EqualAddressesAreEqualAndHashAlike) {
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly({
      Parsed("1.2.3.4:5"),
      Parsed("1.2.3.4:6"),
      Parsed("1.2.3.5:5"),
      Parsed("[::1]:5"),
      Parsed("[::]:5"),
      Parsed("*:5"),
      Parsed("*:6"),
      Parsed("[fe80::1]:5"),
      Parsed("[fe80::1%lo]:5"),
      Parsed("unix:/x"),
      Parsed("unix:@x"),
      Parsed("unix:@xy"),
      FromUnixBytes("").value(),
      Parsed("[::ffff:1.2.3.4]:5"),
  }));
}

TEST(SocketAddressTest, CanBePutIntoMessages) {
  EXPECT_EQ(absl::StrCat("bind ", SocketAddress::Any(7)), "bind *:7");
}

TEST(SocketAddressTest, IsSmall) { EXPECT_LE(sizeof(SocketAddress), 40u); }

TEST(SocketAddressDeathTest, UnixPathThatCannotBeIsABug) {
  EXPECT_DEATH(SocketAddress::Unix(""), "no path");
  EXPECT_DEATH(SocketAddress::Unix(std::string(108, 'x')), "108 bytes");
}

}  // namespace
}  // namespace millrace
