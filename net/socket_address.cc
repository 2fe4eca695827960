// SPDX-License-Identifier: Apache-2.0
#include "net/socket_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/utf8.h"

namespace millrace {
namespace {

constexpr socklen_t kUnixHeaderBytes = offsetof(sockaddr_un, sun_path);
static_assert(SocketAddress::kUnixPathBytesMax == sizeof(sockaddr_un::sun_path) - 1);

// Controls are below a space, DEL, and U+0080 to U+009F, of which each begins with the byte 0xc2.
bool IsPrintable(unsigned char byte, unsigned char before, bool is_utf8) {
  if (byte < 0x80) return absl::ascii_isprint(byte);
  return is_utf8 && (before != 0xc2 || byte >= 0xa0);
}

std::string Printable(absl::string_view text) {
  constexpr absl::string_view kHex = "0123456789abcdef";
  const bool is_utf8 = IsValidUtf8(text);
  std::string printable;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const unsigned char before = i == 0 ? '\0' : text[i - 1];
    const unsigned char after = i + 1 == text.size() ? '\0' : text[i + 1];
    const bool begins_control = byte == 0xc2 && after < 0xa0;
    if (IsPrintable(byte, before, is_utf8) && !begins_control) {
      printable += text[i];
    } else {
      absl::StrAppend(&printable, "\\x", kHex.substr(byte / 16, 1), kHex.substr(byte % 16, 1));
    }
  }
  return printable;
}

absl::Status Wrong(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("address \"", Printable(text), "\": ", Printable(why)));
}

// Digits and nothing else. SimpleAtoi alone would also take a sign and spaces.
bool ParseDigits(absl::string_view digits, uint32_t& value) {
  return std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(digits, &value);
}

absl::StatusOr<uint16_t> ParsePort(absl::string_view text, absl::string_view port) {
  uint32_t value;
  if (port.empty()) return Wrong(text, "no port after the \":\"");
  if (!ParseDigits(port, value) || value > 65535) {
    return Wrong(text, absl::StrCat("port \"", port, "\" is not a number from 0 to 65535"));
  }
  return static_cast<uint16_t>(value);
}

// The number of an interface given by name or number; 0, which no interface has, if there is none.
uint32_t ParseScope(absl::string_view scope) {
  uint32_t number;
  if (ParseDigits(scope, number)) return number;
  return if_nametoindex(std::string(scope).c_str());
}

std::string ScopeToString(uint32_t scope) {
  std::array<char, IF_NAMESIZE> name;
  if (if_indextoname(scope, name.data()) == nullptr) return absl::StrCat(scope);
  return name.data();
}

std::string IpToString(int family, const void* ip) {
  std::array<char, INET6_ADDRSTRLEN> text;
  CHECK(inet_ntop(family, ip, text.data(), text.size()) != nullptr);
  return text.data();
}

// Where a Unix socket's bytes end: a path at its NUL, an abstract name, which may hold NULs, never.
absl::string_view UnixBytes(const sockaddr_un& address, socklen_t bytes) {
  const absl::string_view all(address.sun_path, bytes - kUnixHeaderBytes);
  return absl::StartsWith(all, absl::string_view("\0", 1)) ? all : all.substr(0, all.find('\0'));
}

socklen_t FillUnix(absl::string_view path, sockaddr_un& address) {
  address.sun_family = AF_UNIX;
  if (path.empty()) return kUnixHeaderBytes;
  DCHECK_LE(path.size(), sizeof(address.sun_path));
  memcpy(address.sun_path, path.data(), path.size());
  const socklen_t bytes = static_cast<socklen_t>(kUnixHeaderBytes + path.size());
  if (path[0] == '@') {
    address.sun_path[0] = '\0';
    return bytes;
  }
  // The closing NUL counts, if there is room for it: the kernel's own paths may fill sun_path.
  return std::min(bytes + 1, static_cast<socklen_t>(sizeof(address)));
}

}  // namespace

static_assert(sizeof(SocketAddress) == 24, "every connection has one");

SocketAddress::SocketAddress(const SocketAddress& other)
    : ip_(), scope_(other.scope_), port_(other.port_), kind_(other.kind_) {
  is_unix() ? void(new (&path_) Ref<Path>(other.path_)) : void(ip_ = other.ip_);
}

SocketAddress& SocketAddress::operator=(const SocketAddress& other) {
  if (this == &other) return *this;
  this->~SocketAddress();
  return *new (this) SocketAddress(other);
}

SocketAddress::~SocketAddress() {
  if (is_unix()) path_.~Ref();
}

absl::StatusOr<SocketAddress> SocketAddress::Parse(absl::string_view text) {
  if (absl::StartsWith(text, "unix:")) return ParseUnix(text);
  // inet_pton and if_nametoindex would stop at it, and what follows be let through.
  if (absl::StrContains(text, '\0')) return Wrong(text, "contains a NUL");
  if (absl::StartsWith(text, "[")) return ParseIpv6(text);
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return Wrong(text, "no port: expected ADDRESS:PORT or unix:PATH");
  const std::string host(text.substr(0, colon));
  absl::StatusOr<uint16_t> port = ParsePort(text, text.substr(colon + 1));
  if (!port.ok()) return port.status();
  if (host == "*") return Any(*port);
  if (host.empty()) return Wrong(text, "no address before the \":\" (\"*\" means all)");
  if (absl::StrContains(host, ':')) return Wrong(text, "IPv6 goes in brackets: [ADDRESS]:PORT");
  in_addr ip;
  if (inet_pton(AF_INET, host.c_str(), &ip) == 1) return FromIpv4(ip, *port);
  return Wrong(text,
               absl::StrCat("\"", host, "\" is not an IP address (host names are not looked up)"));
}

absl::StatusOr<SocketAddress> SocketAddress::ParseIpv6(absl::string_view text) {
  const size_t end = text.find(']');
  if (end == text.npos) return Wrong(text, "no \"]\"");
  absl::string_view rest = text.substr(end + 1);
  if (!absl::ConsumePrefix(&rest, ":")) return Wrong(text, "no port: expected [ADDRESS]:PORT");
  absl::StatusOr<uint16_t> port = ParsePort(text, rest);
  if (!port.ok()) return port.status();

  const absl::string_view inside = text.substr(1, end - 1);
  const size_t percent = inside.find('%');
  uint32_t scope = 0;
  if (percent != inside.npos) {
    scope = ParseScope(inside.substr(percent + 1));
    if (scope == 0) {
      return Wrong(text, absl::StrCat("no interface \"", inside.substr(percent + 1), "\""));
    }
  }
  const std::string host(inside.substr(0, percent));
  in6_addr ip;
  if (inet_pton(AF_INET6, host.c_str(), &ip) == 1) return FromIpv6(ip, scope, *port);
  return Wrong(text, absl::StrCat("\"", host, "\" is not an IPv6 address"));
}

absl::StatusOr<SocketAddress> SocketAddress::ParseUnix(absl::string_view text) {
  const absl::string_view path = absl::StripPrefix(text, "unix:");
  if (path.empty()) return Wrong(text, "no path");
  if (path == "@") return Wrong(text, "no name after the \"@\"");
  if (path.size() > kUnixPathBytesMax) {
    return Wrong(text, absl::StrCat("the path has ", path.size(), " bytes, and ", kUnixPathBytesMax,
                                    " are the most a Unix socket can have"));
  }
  if (path[0] != '@' && absl::StrContains(path, '\0')) return Wrong(text, "contains a NUL");
  return FromPath(path);
}

absl::StatusOr<std::vector<SocketAddress>> SocketAddress::ParseList(absl::string_view text) {
  std::vector<SocketAddress> addresses;
  for (absl::string_view one : absl::StrSplit(text, ',')) {
    absl::StatusOr<SocketAddress> address = Parse(one);
    if (!address.ok()) return address.status();
    addresses.push_back(*std::move(address));
  }
  return addresses;
}

SocketAddress SocketAddress::Loopback(uint16_t port) {
  return FromIpv4({.s_addr = htonl(INADDR_LOOPBACK)}, port);
}

SocketAddress SocketAddress::Unix(absl::string_view path) {
  absl::StatusOr<SocketAddress> address = ParseUnix(absl::StrCat("unix:", path));
  CHECK(address.ok()) << address.status();
  return *std::move(address);
}

SocketAddress SocketAddress::FromIpv4(in_addr ip, uint16_t port) {
  SocketAddress address(Kind::kIpv4, port);
  memcpy(&address.ip_, &ip, sizeof(ip));
  return address;
}

SocketAddress SocketAddress::FromIpv6(const in6_addr& ip, uint32_t scope, uint16_t port) {
  if (IN6_IS_ADDR_V4MAPPED(&ip)) {
    in_addr ipv4;
    memcpy(&ipv4, &ip.s6_addr[12], sizeof(ipv4));
    return FromIpv4(ipv4, port);
  }
  SocketAddress address(Kind::kIpv6, port);
  address.ip_ = ip;
  address.scope_ = scope;
  return address;
}

absl::StatusOr<SocketAddress> SocketAddress::FromSockaddr(const sockaddr* address,
                                                          socklen_t bytes) {
  const int family = bytes < sizeof(sa_family_t) ? AF_UNSPEC : address->sa_family;
  if (family == AF_INET && bytes >= sizeof(sockaddr_in)) {
    const auto& ipv4 = *reinterpret_cast<const sockaddr_in*>(address);
    return FromIpv4(ipv4.sin_addr, ntohs(ipv4.sin_port));
  }
  if (family == AF_INET6 && bytes >= sizeof(sockaddr_in6)) {
    const auto& ipv6 = *reinterpret_cast<const sockaddr_in6*>(address);
    return FromIpv6(ipv6.sin6_addr, ipv6.sin6_scope_id, ntohs(ipv6.sin6_port));
  }
  if (family == AF_UNIX && bytes <= sizeof(sockaddr_un)) {
    const absl::string_view path = UnixBytes(*reinterpret_cast<const sockaddr_un*>(address), bytes);
    if (path.empty()) return FromPath("");
    if (path[0] == '\0') return FromPath(absl::StrCat("@", path.substr(1)));
    if (path[0] != '@') return FromPath(path);
    // A file whose name begins with "@" is written so that it is not taken for an abstract name.
    if (path.size() + 2 <= kUnixPathBytesMax) return FromPath(absl::StrCat("./", path));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("socket address of family ", family, " and ", bytes, " bytes"));
}

std::string SocketAddress::ToString() const {
  switch (kind_) {
    case Kind::kAny:
      return absl::StrCat("*:", port_);
    case Kind::kIpv4:
      return absl::StrCat(IpToString(AF_INET, &ip_), ":", port_);
    case Kind::kIpv6:
      break;
    case Kind::kUnix:
      return absl::StrCat("unix:", unix_path());
  }
  return absl::StrCat("[", IpToString(AF_INET6, &ip_), scope_ == 0 ? "" : "%",
                      scope_ == 0 ? "" : ScopeToString(scope_), "]:", port_);
}

std::string SocketAddress::ToPrintable() const {
  return is_unix() ? Printable(ToString()) : ToString();
}

int SocketAddress::family() const {
  if (is_unix()) return AF_UNIX;
  return kind_ == Kind::kIpv4 ? AF_INET : AF_INET6;
}

SocketAddress SocketAddress::WithPort(uint16_t port) const {
  SocketAddress result = *this;
  if (!is_unix()) result.port_ = port;
  return result;
}

absl::string_view SocketAddress::unix_path() const {
  return is_unix() ? absl::string_view(path_->text) : absl::string_view();
}

socklen_t SocketAddress::ToSockaddr(sockaddr_storage& storage) const {
  memset(&storage, 0, sizeof(storage));
  if (is_unix()) return FillUnix(unix_path(), reinterpret_cast<sockaddr_un&>(storage));
  if (kind_ == Kind::kIpv4) {
    auto& ipv4 = reinterpret_cast<sockaddr_in&>(storage);
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port_);
    memcpy(&ipv4.sin_addr, &ip_, sizeof(ipv4.sin_addr));
    return sizeof(ipv4);
  }
  auto& ipv6 = reinterpret_cast<sockaddr_in6&>(storage);
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(port_);
  ipv6.sin6_addr = ip_;
  ipv6.sin6_scope_id = scope_;
  return sizeof(ipv6);
}

bool operator==(const SocketAddress& a, const SocketAddress& b) {
  if (a.kind_ != b.kind_ || a.port_ != b.port_ || a.scope_ != b.scope_) return false;
  return a.is_unix() ? a.unix_path() == b.unix_path() : memcmp(&a.ip_, &b.ip_, sizeof(a.ip_)) == 0;
}

}  // namespace millrace
