// SPDX-License-Identifier: Apache-2.0
//
// Any text, chosen by libFuzzer, that is read as an address is written as one that reads the same,
// and goes to the system and back unchanged.

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

void CheckAddress(const SocketAddress& address) {
  const absl::StatusOr<SocketAddress> again = SocketAddress::Parse(address.ToString());
  CHECK_OK(again) << address.ToString();
  CHECK(*again == address);
  if (address.is_any()) return;  // The system knows it as [::].
  sockaddr_storage storage;
  const socklen_t bytes = address.ToSockaddr(storage);
  CHECK_LE(bytes, sizeof(storage));
  const absl::StatusOr<SocketAddress> back =
      SocketAddress::FromSockaddr(reinterpret_cast<const sockaddr*>(&storage), bytes);
  CHECK_OK(back) << address.ToString();
  CHECK(*back == address);
}

// What the system might say, which is no text at all.
void CheckSockaddr(const uint8_t* data, size_t size) {
  sockaddr_storage storage = {};
  const size_t bytes = std::min(size, sizeof(storage));
  std::copy_n(data, bytes, reinterpret_cast<uint8_t*>(&storage));
  const absl::StatusOr<SocketAddress> address = SocketAddress::FromSockaddr(
      reinterpret_cast<const sockaddr*>(&storage), static_cast<socklen_t>(bytes));
  if (address.ok()) (void)address->ToString();
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto addresses = millrace::SocketAddress::ParseList(text);
  if (addresses.ok()) {
    for (const millrace::SocketAddress& address : *addresses) millrace::CheckAddress(address);
  }
  const auto address = millrace::SocketAddress::Parse(text);
  if (address.ok()) millrace::CheckAddress(*address);
  millrace::CheckSockaddr(data, size);
  return 0;
}
