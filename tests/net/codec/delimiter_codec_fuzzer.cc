// SPDX-License-Identifier: Apache-2.0
//
// Any stream and delimiter, cut anywhere, all chosen by libFuzzer, are decoded to what a plain
// search finds.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "net/codec/delimiter_codec.h"
#include "tests/net/codec/codec_fuzz.h"

namespace millrace {
namespace {

// How many bytes at the end of `rest` may be the delimiter's first.
size_t BegunBytes(absl::string_view rest, absl::string_view delimiter) {
  size_t n = std::min(rest.size(), delimiter.size() - 1);
  while (!absl::EndsWith(rest, delimiter.substr(0, n))) --n;
  return n;
}

Decodings FindMessages(absl::string_view stream, absl::string_view delimiter, size_t bytes_max) {
  Decodings decodings;
  size_t begin = 0, end, bytes = 0;
  while ((end = stream.find(delimiter, begin)) != absl::string_view::npos) {
    bytes = end - begin;
    if (bytes > bytes_max) break;
    decodings.messages.emplace_back(stream.substr(begin, bytes));
    begin = end + delimiter.size();
  }
  decodings.rest = std::string(stream.substr(begin));
  if (end == absl::string_view::npos) {
    bytes = decodings.rest.size() - BegunBytes(decodings.rest, delimiter);
  }
  if (bytes > bytes_max) {
    decodings.status =
        absl::ResourceExhaustedError(absl::StrCat("a message of more than ", bytes_max, " bytes"));
  }
  return decodings;
}

void CheckInput(FuzzInput input) {
  const size_t bytes_max = input.TakeByte();
  std::string delimiter(input.TakeBytes(1 + input.TakeByte() % 8));
  if (delimiter.empty()) delimiter += ';';
  const DelimiterCodec codec(delimiter, {.message_bytes_max = bytes_max});
  const CutSizes cuts(input);
  const absl::string_view stream = input.rest();
  const Decodings decodings =
      CheckDecodes(codec, cuts, stream, FindMessages(stream, delimiter, bytes_max));
  std::string again;
  for (const std::string& message : decodings.messages) {
    again += CheckEncodes(codec, message, /*comes_back=*/true);
  }
  if (decodings.status.ok()) CHECK_EQ(again + decodings.rest, stream);
  const std::string framed = absl::StrCat(stream, delimiter);
  const Decodings itself = {{std::string(stream)}, "", absl::OkStatus()};
  CheckEncodes(codec, stream, FindMessages(framed, delimiter, bytes_max) == itself);
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::CheckInput(millrace::FuzzInput(data, size));
  return 0;
}
