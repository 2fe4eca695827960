// SPDX-License-Identifier: Apache-2.0
//
// Any stream, cut anywhere, of any kind of prefix, all chosen by libFuzzer, is decoded to what
// reading it in one goes to, and encoded to the same bytes.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/log/check.h"
#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "net/codec/length_prefix_codec.h"
#include "tests/net/codec/codec_fuzz.h"

namespace millrace {
namespace {

using Options = LengthPrefixCodec::Options;

absl::int128 ReadLength(std::string prefix, std::endian byte_order) {
  if (byte_order == std::endian::little) std::reverse(prefix.begin(), prefix.end());
  absl::int128 length = 0;
  for (char byte : prefix) length = length * 256 + static_cast<uint8_t>(byte);
  return length;
}

// The longest message that a frame may have by both bounds.
absl::int128 MessageBytesMax(const Options& options) {
  const std::string longest(static_cast<size_t>(options.prefix_bytes), '\xff');
  const absl::int128 length_max = ReadLength(longest, options.byte_order);
  return std::min<absl::int128>(options.message_bytes_max,
                                length_max - (options.counts_prefix ? options.prefix_bytes : 0));
}

// In numbers of which even the largest length is far from the end.
Decodings ReadFrames(std::string stream, const Options& options) {
  Decodings decodings;
  const size_t prefix_bytes = static_cast<size_t>(options.prefix_bytes);
  while (stream.size() >= prefix_bytes) {
    const absl::int128 length = ReadLength(stream.substr(0, prefix_bytes), options.byte_order);
    const absl::int128 frame = options.counts_prefix ? length : length + options.prefix_bytes;
    const absl::int128 bytes = frame - options.prefix_bytes, max = MessageBytesMax(options);
    if (bytes < 0) {
      decodings.status = absl::InvalidArgumentError(
          absl::StrCat("a length of ", static_cast<uint64_t>(length),
                       " that counts its own prefix of ", prefix_bytes, " bytes"));
    } else if (bytes > max) {
      decodings.status = absl::ResourceExhaustedError(
          absl::StrCat("a message of ", static_cast<uint64_t>(bytes), " bytes, more than ",
                       static_cast<uint64_t>(max)));
    }
    if (!decodings.status.ok() || frame > stream.size()) break;
    decodings.messages.push_back(stream.substr(prefix_bytes, static_cast<size_t>(bytes)));
    stream.erase(0, static_cast<size_t>(frame));
  }
  decodings.rest = stream;
  return decodings;
}

Options TakeOptions(FuzzInput& input) {
  const uint8_t bits = input.TakeByte();
  return {.prefix_bytes = 1 << (bits & 3),
          .byte_order = bits & 4 ? std::endian::little : std::endian::big,
          .message_bytes_max = input.TakeByte(),
          .counts_prefix = (bits & 8) != 0};
}

void CheckInput(FuzzInput input) {
  const Options options = TakeOptions(input);
  const LengthPrefixCodec codec(options);
  const CutSizes cuts(input);
  const absl::string_view stream = input.rest();
  const Decodings decodings =
      CheckDecodes(codec, cuts, stream, ReadFrames(std::string(stream), options));
  std::string again;
  for (const std::string& message : decodings.messages) {
    again += CheckEncodes(codec, message, /*comes_back=*/true);
  }
  if (decodings.status.ok()) CHECK_EQ(again + decodings.rest, stream);
  CheckEncodes(codec, stream, stream.size() <= MessageBytesMax(options));
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::CheckInput(millrace::FuzzInput(data, size));
  return 0;
}
