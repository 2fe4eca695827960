// SPDX-License-Identifier: Apache-2.0
//
// SocketAddress is where a socket listens or connects to: an IPv4 or IPv6 address with a port, a
// Unix socket's name, or "any", a port on all IPv4 and IPv6 addresses of the machine. A copyable
// value of 24 bytes; share it between threads as you would an int. Host names are never
// looked up here: that takes time, and may fail in ways that a value must not.
//
//   absl::StatusOr<SocketAddress> address = SocketAddress::Parse("[::1]:7007");
//   if (!address.ok()) return address.status();       // Says which text is wrong, and how.
//   LOG(INFO) << "listening on " << *address;

#ifndef MILLRACE_NET_SOCKET_ADDRESS_H_
#define MILLRACE_NET_SOCKET_ADDRESS_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ref.h"

namespace millrace {

class SocketAddress {
 public:
  // The longest name of a Unix socket: sun_path less its closing NUL.
  static constexpr size_t kUnixPathBytesMax = 107;

  // 127.0.0.1:0, because what nobody set must not be reachable from outside.
  SocketAddress() : SocketAddress(Loopback(0)) {}
  SocketAddress(const SocketAddress& other);
  SocketAddress& operator=(const SocketAddress& other);
  ~SocketAddress();

  // Reads one of
  //   127.0.0.1:7007       IPv4
  //   [::1]:7007           IPv6, and only that: listening on [::]:7007 takes no IPv4 peer
  //   [fe80::1%eth0]:7007  IPv6 with its scope, an interface by name or number
  //   *:7007               any: all IPv4 and IPv6
  //   unix:/path.sock      a Unix socket by its path
  //   unix:@name           a Unix socket in the abstract name space
  // An IPv4-mapped IPv6 address is read as the IPv4 address that it means.
  static absl::StatusOr<SocketAddress> Parse(absl::string_view text);
  // The same, separated by commas; at least one. A path with a comma cannot be part of a list.
  static absl::StatusOr<std::vector<SocketAddress>> ParseList(absl::string_view text);

  // A port on all addresses, IPv4 and IPv6. Port 0, here and elsewhere, has the system pick one.
  static SocketAddress Any(uint16_t port) { return SocketAddress(Kind::kAny, port); }
  // 127.0.0.1, reachable from this machine only.
  static SocketAddress Loopback(uint16_t port);
  // A path, or `@name`. Requires: 1 to kUnixPathBytesMax bytes without NUL; text from outside goes
  // through Parse().
  static SocketAddress Unix(absl::string_view path);
  // What the system says: IPv4-mapped IPv6 comes out as IPv4, and the peer that never bound its
  // Unix socket as one with an empty path. An error for other families, and for a length that
  // cannot be.
  static absl::StatusOr<SocketAddress> FromSockaddr(const sockaddr* address, socklen_t bytes);

  // The text that Parse() reads as an equal address; `unix:` for an unnamed Unix socket.
  std::string ToString() const;
  // For people, as StrCat() and streams write it: the same, but bytes of a Unix socket's name that
  // are not printable UTF-8 look like \x1b. A peer chooses its name, and the log is read in a
  // terminal.
  std::string ToPrintable() const;

  // AF_INET, AF_INET6 (also for "any") or AF_UNIX.
  int family() const;
  // 0 for Unix sockets.
  uint16_t port() const { return port_; }
  // The same with another port; Unix sockets stay what they are.
  SocketAddress WithPort(uint16_t port) const;

  bool is_any() const { return kind_ == Kind::kAny; }
  bool is_unix() const { return kind_ == Kind::kUnix; }
  // As Parse() takes it after `unix:`. Empty if unnamed, or not a Unix socket.
  absl::string_view unix_path() const;

  // Fills in what bind(2) and connect(2) take, and returns its length. "Any" becomes [::].
  socklen_t ToSockaddr(sockaddr_storage& storage) const;

  friend bool operator==(const SocketAddress& a, const SocketAddress& b);
  template <typename H>
  friend H AbslHashValue(H hash, const SocketAddress& address) {
    sockaddr_storage storage;
    const auto* bytes = reinterpret_cast<const unsigned char*>(&storage);
    const socklen_t size = address.ToSockaddr(storage);
    return H::combine(H::combine_contiguous(std::move(hash), bytes, size), address.is_any());
  }
  template <typename Sink>
  friend void AbslStringify(Sink& sink, const SocketAddress& address) {
    sink.Append(address.ToPrintable());
  }

 private:
  enum class Kind : uint8_t { kAny, kIpv4, kIpv6, kUnix };
  // A Unix socket is kept as text, its path, or `@` and the abstract name; copies share it.
  struct Path final : RefCounted<Path> {
    explicit Path(absl::string_view path) : text(path) {}
    const std::string text;
  };

  explicit SocketAddress(Kind kind, uint16_t port) : ip_(), port_(port), kind_(kind) {}
  explicit SocketAddress(Ref<Path> path) : path_(std::move(path)), kind_(Kind::kUnix) {}

  static SocketAddress FromIpv4(in_addr ip, uint16_t port);
  static SocketAddress FromIpv6(const in6_addr& ip, uint32_t scope, uint16_t port);
  static SocketAddress FromPath(absl::string_view path) {
    return SocketAddress(Ref<Path>(new Path(path)));
  }
  static absl::StatusOr<SocketAddress> ParseIpv6(absl::string_view text);
  static absl::StatusOr<SocketAddress> ParseUnix(absl::string_view text);

  // By hand and not a std::variant, which would take 8 bytes more: every connection has one.
  union {
    in6_addr ip_;  // An IPv4 address lies in its first four bytes; for "any" it is zero.
    Ref<Path> path_;
  };
  uint32_t scope_ = 0;
  uint16_t port_ = 0;
  Kind kind_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_SOCKET_ADDRESS_H_
