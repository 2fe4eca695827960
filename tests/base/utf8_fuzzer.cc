// SPDX-License-Identifier: Apache-2.0
//
// Any bytes, chosen by libFuzzer, are valid UTF-8 where decoding them succeeds.

#include <cstddef>
#include <cstdint>

#include "absl/log/check.h"
#include "absl/strings/string_view.h"
#include "base/utf8.h"
#include "tests/base/utf8_model.h"

namespace millrace {
namespace {

void CheckText(absl::string_view text) {
  CHECK_EQ(IsValidUtf8(text), DecodesAsUtf8(text));
  if (text.empty()) return;
  const size_t last = CodePointBefore(text, text.size());
  CHECK_LT(last, text.size());
  const CodePoint first = FirstCodePoint(text);
  CHECK_LE(first.bytes, text.size());
  CHECK_EQ(first.valid, DecodesAsUtf8(text.substr(0, first.bytes)));
  if (!DecodesAsUtf8(text)) return;
  CHECK(first.valid);
  absl::string_view tail = text.substr(last);
  CHECK(DecodeOne(tail) && tail.empty()) << "what begins at " << last << " is no code point";
  CHECK(DecodesAsUtf8(text.substr(0, last)));
}

// What begins well, and what begins and ends anywhere near an eight: most inputs are invalid early.
void CheckBytes(absl::string_view bytes) {
  CheckText(bytes);
  for (size_t i = 1; i < bytes.size() && i < 9; ++i) {
    CheckText(bytes.substr(i));
    CheckText(bytes.substr(0, bytes.size() - i));
  }
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::CheckBytes({reinterpret_cast<const char*>(data), size});
  return 0;
}
