// SPDX-License-Identifier: Apache-2.0
//
// AddressPrefix is a set of IP addresses that begin alike: what allow and deny lists are made of,
// and what counts as one peer where connections are counted. A copyable value of 18 bytes; share it
// between threads as you would an int.
//
//   absl::StatusOr<AddressPrefix> office = AddressPrefix::Parse("10.1.0.0/16");
//   if (office->Contains(conn.peer_address())) ...
//   AddressPrefix site = AddressPrefix::Of(peer, 32, 64);   // Whoever shares its IPv6 /64.
//
// An IPv4-mapped IPv6 address counts as the IPv4 address that it means. Unix peers, which have no
// address, are in no prefix but that which Of() makes of them.

#ifndef MILLRACE_NET_ADDRESS_PREFIX_H_
#define MILLRACE_NET_ADDRESS_PREFIX_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/socket_address.h"

namespace millrace {

class AddressPrefix {
 public:
  static constexpr int kIpv4BitsMax = 32;
  static constexpr int kIpv6BitsMax = 128;

  // Reads "10.0.0.0/8", "2001:db8::/32", or an address alone, which is all of its bits. Bits behind
  // the prefix must be 0: else one of the two numbers is a mistake. Errors name the text.
  static absl::StatusOr<AddressPrefix> Parse(absl::string_view text);
  // The same, separated by commas; none in an empty text.
  static absl::StatusOr<std::vector<AddressPrefix>> ParseList(absl::string_view text);

  // All who share the first bits of `address`: so many for IPv4, so many for IPv6. All Unix peers
  // are one. Requires: 0 to 32, and 0 to 128.
  static AddressPrefix Of(const SocketAddress& address, int ipv4_bits, int ipv6_bits);

  bool Contains(const SocketAddress& address) const;
  // What Parse() reads as an equal prefix; "unix:" for Unix peers.
  std::string ToString() const;

  friend bool operator==(const AddressPrefix&, const AddressPrefix&) = default;
  template <typename H>
  friend H AbslHashValue(H hash, const AddressPrefix& prefix) {
    return H::combine(std::move(hash), prefix.bytes_, prefix.bits_, prefix.family_);
  }
  template <typename Sink>
  friend void AbslStringify(Sink& sink, const AddressPrefix& prefix) {
    sink.Append(prefix.ToString());
  }

 private:
  enum class Family : uint8_t { kUnix, kIpv4, kIpv6 };

  AddressPrefix(Family family, const std::array<uint8_t, 16>& bytes, int bits);

  std::array<uint8_t, 16> bytes_;  // An IPv4 address lies in the first four; 0 behind the prefix.
  uint8_t bits_;
  Family family_;
};

// Whether one of them does. Looks at each: lists are expected to be short.
bool AnyContains(absl::Span<const AddressPrefix> prefixes, const SocketAddress& address);

// Of this machine: 127.0.0.0/8, ::1, or a Unix socket.
bool IsLocalPeer(const SocketAddress& address);

}  // namespace millrace

#endif  // MILLRACE_NET_ADDRESS_PREFIX_H_
