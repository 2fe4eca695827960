// SPDX-License-Identifier: Apache-2.0
//
// Any text, chosen by libFuzzer, that an old process might send is refused, waited for, or read as
// what it means; and whatever comes in pieces is read as when it comes at once.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/limits.h"
#include "net/restart/handover_message.h"

namespace millrace {
namespace {

using Decoded = absl::StatusOr<std::optional<std::vector<AnnouncedListener>>>;

void CheckText(absl::string_view text) {
  const Decoded whole = DecodeListeners(text);
  const bool is_whole = whole.ok() && whole->has_value();
  for (size_t i = 0; i < text.size() && i < 300; ++i) {
    const Decoded part = DecodeListeners(text.substr(0, i));
    if (is_whole) CHECK_OK(part) << "what becomes a message is no error on the way";
    if (part.ok() && part->has_value()) CHECK(!whole.ok()) << "nothing may follow a message";
  }
  if (!is_whole) return;
  CHECK_LE((*whole)->size(), static_cast<size_t>(kListenersMax));
  const Decoded again = DecodeListeners(EncodeListeners(**whole));
  CHECK_OK(again);
  CHECK(again->has_value() && **again == **whole);
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::CheckText({reinterpret_cast<const char*>(data), size});
  return 0;
}
