// SPDX-License-Identifier: Apache-2.0
#include "net/codec/length_prefix_codec.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace millrace {

static_assert(Codec<LengthPrefixCodec>);

LengthPrefixCodec::LengthPrefixCodec(const Options& options)
    : prefix_bytes_(static_cast<size_t>(options.prefix_bytes)),
      counted_prefix_bytes_(options.counts_prefix ? prefix_bytes_ : 0),
      byte_order_(options.byte_order) {
  CHECK(prefix_bytes_ == 1 || prefix_bytes_ == 2 || prefix_bytes_ == 4 || prefix_bytes_ == 8)
      << "a length of " << options.prefix_bytes << " bytes";
  CHECK_LE(options.message_bytes_max, std::numeric_limits<size_t>::max() / 2) << "is no bound";
  const uint64_t length_max = std::numeric_limits<uint64_t>::max() >> (64 - 8 * prefix_bytes_);
  message_bytes_max_ =
      std::min<uint64_t>(options.message_bytes_max, length_max - counted_prefix_bytes_);
}

DecodeResult<absl::string_view> LengthPrefixCodec::Decode(absl::string_view input) const {
  if (input.size() < prefix_bytes_) return std::nullopt;
  const uint64_t length = ReadPrefix(input);
  if (length < counted_prefix_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a length of ", length, " that counts its own prefix of ", prefix_bytes_, " bytes"));
  }
  const uint64_t message_bytes = length - counted_prefix_bytes_;
  if (message_bytes > message_bytes_max_) return TooLong(message_bytes);
  if (input.size() - prefix_bytes_ < message_bytes) return std::nullopt;
  const size_t n = static_cast<size_t>(message_bytes);
  return Decoded<absl::string_view>{input.substr(prefix_bytes_, n), prefix_bytes_ + n};
}

absl::Status LengthPrefixCodec::Encode(absl::string_view message, ByteSink sink) const {
  if (message.size() > message_bytes_max_) return TooLong(message.size());
  char prefix[8];
  uint64_t rest = message.size() + counted_prefix_bytes_;
  for (size_t i = 0; i < prefix_bytes_; ++i, rest >>= 8) {
    const bool from_the_end = byte_order_ == std::endian::big;
    prefix[from_the_end ? prefix_bytes_ - 1 - i : i] = static_cast<char>(rest);
  }
  sink({prefix, prefix_bytes_});
  sink(message);
  return absl::OkStatus();
}

uint64_t LengthPrefixCodec::ReadPrefix(absl::string_view input) const {
  uint64_t length = 0;
  for (size_t i = 0; i < prefix_bytes_; ++i) {
    const bool from_the_end = byte_order_ == std::endian::little;
    const char byte = input[from_the_end ? prefix_bytes_ - 1 - i : i];
    length = length << 8 | static_cast<uint8_t>(byte);
  }
  return length;
}

absl::Status LengthPrefixCodec::TooLong(uint64_t message_bytes) const {
  return absl::ResourceExhaustedError(
      absl::StrCat("a message of ", message_bytes, " bytes, more than ", message_bytes_max_));
}

}  // namespace millrace
