// SPDX-License-Identifier: Apache-2.0
//
// Any text, chosen by libFuzzer, that is read as a prefix is written as one that reads the same,
// and it contains the address that it begins with.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "net/address_prefix.h"
#include "net/socket_address.h"

namespace millrace {
namespace {

void CheckPrefix(const AddressPrefix& prefix) {
  const std::string text = prefix.ToString();
  const absl::StatusOr<AddressPrefix> again = AddressPrefix::Parse(text);
  CHECK_OK(again) << text;
  CHECK(*again == prefix) << text;
  const std::string host = text.substr(0, text.find('/'));
  const bool is_ipv6 = host.find(':') != std::string::npos;
  const absl::StatusOr<SocketAddress> first =
      SocketAddress::Parse(is_ipv6 ? absl::StrCat("[", host, "]:1") : absl::StrCat(host, ":1"));
  CHECK_OK(first) << text;
  CHECK(prefix.Contains(*first)) << text;
  CHECK(AnyContains({&prefix, 1}, *first)) << text;
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto prefixes = millrace::AddressPrefix::ParseList(text);
  if (!prefixes.ok()) return 0;
  for (const millrace::AddressPrefix& prefix : *prefixes) millrace::CheckPrefix(prefix);
  return 0;
}
