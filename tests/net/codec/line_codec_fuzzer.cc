// SPDX-License-Identifier: Apache-2.0
//
// Any stream, cut anywhere, both chosen by libFuzzer, is decoded to what splitting it at LF gives.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "net/codec/line_codec.h"
#include "tests/net/codec/codec_fuzz.h"

namespace millrace {
namespace {

// A line that has not ended is too long if it were so with an end right here: nothing that may come
// makes it shorter.
Decodings SplitLines(const std::string& stream, size_t line_bytes_max) {
  Decodings decodings;
  std::vector<absl::string_view> lines = absl::StrSplit(stream, '\n');
  decodings.rest = std::string(lines.back());
  for (size_t i = 0; i < lines.size(); ++i) {
    const absl::string_view line = absl::StripSuffix(lines[i], "\r");
    if (line.size() > line_bytes_max) {
      decodings.status = absl::ResourceExhaustedError(
          absl::StrCat("a line of more than ", line_bytes_max, " bytes"));
      break;
    }
    if (i + 1 < lines.size()) decodings.messages.emplace_back(line);
  }
  return decodings;
}

void CheckInput(FuzzInput input) {
  const size_t line_bytes_max = input.TakeByte();
  const LineCodec codec({.line_bytes_max = line_bytes_max});
  const CutSizes cuts(input);
  const std::string stream(input.rest());
  const Decodings decodings = CheckDecodes(codec, cuts, stream, SplitLines(stream, line_bytes_max));
  std::string again;
  for (const std::string& line : decodings.messages) {
    again += CheckEncodes(codec, line, !absl::EndsWith(line, "\r"));
  }
  if (decodings.status.ok() && !absl::StrContains(stream, '\r')) {
    CHECK_EQ(again + decodings.rest, stream);
  }
  const Decodings itself = {{stream}, "", absl::OkStatus()};
  CheckEncodes(codec, stream, SplitLines(stream + "\n", line_bytes_max) == itself);
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::CheckInput(millrace::FuzzInput(data, size));
  return 0;
}
