// SPDX-License-Identifier: Apache-2.0
#include "net/address_prefix.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace millrace {
namespace {

using Bytes = std::array<uint8_t, 16>;

constexpr int kMappedBits = 96;  // What stands before the IPv4 address in a mapped one.

absl::Status Wrong(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("prefix \"", text, "\": ", why));
}

// `bytes` as far as its first `bits` go, and 0 behind.
Bytes Masked(Bytes bytes, int bits) {
  for (int i = 0; i < 16; ++i) {
    const int kept = std::clamp(bits - 8 * i, 0, 8);
    bytes[i] &= static_cast<uint8_t>(0xff00 >> kept);
  }
  return bytes;
}

bool IsMapped(const Bytes& ipv6) {
  return IN6_IS_ADDR_V4MAPPED(reinterpret_cast<const in6_addr*>(ipv6.data()));
}

// The IPv4 address in a mapped one.
Bytes Unmapped(const Bytes& ipv6) {
  Bytes ipv4 = {};
  std::copy(ipv6.begin() + 12, ipv6.end(), ipv4.begin());
  return ipv4;
}

absl::StatusOr<int> ParseBits(absl::string_view text, absl::string_view digits, int max) {
  int bits;
  const bool all_digits = std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  if (digits.empty() || !all_digits || !absl::SimpleAtoi(digits, &bits) || bits > max) {
    return Wrong(text, absl::StrCat("\"", digits, "\" is not a number from 0 to ", max));
  }
  return bits;
}

}  // namespace

AddressPrefix::AddressPrefix(Family family, const Bytes& bytes, int bits)
    : bytes_(Masked(bytes, bits)), bits_(static_cast<uint8_t>(bits)), family_(family) {}

absl::StatusOr<AddressPrefix> AddressPrefix::Parse(absl::string_view text) {
  // inet_pton would stop at it, and what follows be let through.
  if (absl::StrContains(text, '\0')) return Wrong(text, "contains a NUL");
  const size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  Bytes bytes = {};
  Family family = absl::StrContains(host, ':') ? Family::kIpv6 : Family::kIpv4;
  if (inet_pton(family == Family::kIpv6 ? AF_INET6 : AF_INET, host.c_str(), bytes.data()) != 1) {
    return Wrong(text, absl::StrCat("\"", host, "\" is not an IP address"));
  }
  int bits = family == Family::kIpv6 ? kIpv6BitsMax : kIpv4BitsMax;
  if (slash != text.npos) {
    MILLRACE_ASSIGN_OR_RETURN(bits, ParseBits(text, text.substr(slash + 1), bits));
  }
  if (family == Family::kIpv6 && IsMapped(bytes)) {
    if (bits < kMappedBits) return Wrong(text, "an IPv4-mapped prefix needs 96 bits or more");
    family = Family::kIpv4;
    bytes = Unmapped(bytes);
    bits -= kMappedBits;
  }
  const AddressPrefix prefix(family, bytes, bits);
  if (prefix.bytes_ == bytes) return prefix;
  return Wrong(text, absl::StrCat("has bits set behind the prefix; perhaps ", prefix.ToString(),
                                  " was meant"));
}

absl::StatusOr<std::vector<AddressPrefix>> AddressPrefix::ParseList(absl::string_view text) {
  std::vector<AddressPrefix> prefixes;
  if (text.empty()) return prefixes;
  for (const absl::string_view one : absl::StrSplit(text, ',')) {
    MILLRACE_ASSIGN_OR_RETURN(AddressPrefix prefix, Parse(one));
    prefixes.push_back(prefix);
  }
  return prefixes;
}

AddressPrefix AddressPrefix::Of(const SocketAddress& address, int ipv4_bits, int ipv6_bits) {
  DCHECK(ipv4_bits >= 0 && ipv4_bits <= kIpv4BitsMax);
  DCHECK(ipv6_bits >= 0 && ipv6_bits <= kIpv6BitsMax);
  Bytes bytes = {};
  sockaddr_storage storage;
  address.ToSockaddr(storage);
  if (storage.ss_family == AF_INET) {
    memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, 4);
    return AddressPrefix(Family::kIpv4, bytes, ipv4_bits);
  }
  if (storage.ss_family != AF_INET6) return AddressPrefix(Family::kUnix, bytes, 0);
  // Never a mapped one: SocketAddress has made those IPv4.
  memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, 16);
  return AddressPrefix(Family::kIpv6, bytes, ipv6_bits);
}

bool AddressPrefix::Contains(const SocketAddress& address) const {
  return Of(address, std::min<int>(bits_, kIpv4BitsMax), bits_) == *this;
}

std::string AddressPrefix::ToString() const {
  if (family_ == Family::kUnix) return "unix:";
  std::array<char, INET6_ADDRSTRLEN> text;
  const int family = family_ == Family::kIpv4 ? AF_INET : AF_INET6;
  CHECK(inet_ntop(family, bytes_.data(), text.data(), text.size()) != nullptr);
  return absl::StrCat(text.data(), "/", bits_);
}

bool AnyContains(absl::Span<const AddressPrefix> prefixes, const SocketAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const AddressPrefix& prefix) { return prefix.Contains(address); });
}

bool IsLocalPeer(const SocketAddress& address) {
  static const AddressPrefix kIpv4 = *AddressPrefix::Parse("127.0.0.0/8");
  static const AddressPrefix kIpv6 = *AddressPrefix::Parse("::1");
  return address.is_unix() || kIpv4.Contains(address) || kIpv6.Contains(address);
}

}  // namespace millrace
