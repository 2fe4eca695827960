// SPDX-License-Identifier: Apache-2.0
#include "net/codec/delimiter_codec.h"

#include <limits>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace millrace {

static_assert(Codec<DelimiterCodec>);

DelimiterCodec::DelimiterCodec(std::string delimiter, const Options& options)
    : delimiter_(std::move(delimiter)), message_bytes_max_(options.message_bytes_max) {
  CHECK(!delimiter_.empty()) << "an empty delimiter delimits nothing";
  CHECK_LE(message_bytes_max_, std::numeric_limits<size_t>::max() / 2) << "that is no bound";
  borders_.reserve(delimiter_.size());
  borders_.push_back(0);
  for (size_t i = 1; i < delimiter_.size(); ++i) {
    borders_.push_back(Matched(borders_[i - 1], delimiter_[i]));
  }
}

DecodeResult<absl::string_view> DelimiterCodec::Decode(absl::string_view input) {
  DCHECK_LE(searched_, input.size()) << "what is not consumed must be offered again";
  // The longest message with its delimiter. What comes later cannot make it right.
  const absl::string_view window = input.substr(0, message_bytes_max_ + delimiter_.size());
  const std::optional<size_t> end = FindEnd(window, searched_, matched_);
  if (!end) {
    searched_ = window.size();
    if (searched_ - matched_ > message_bytes_max_) return TooLong();
    return std::nullopt;
  }
  searched_ = matched_ = 0;
  return Decoded<absl::string_view>{input.substr(0, *end - delimiter_.size()), *end};
}

absl::Status DelimiterCodec::Encode(absl::string_view message, ByteSink sink) const {
  if (message.size() > message_bytes_max_) return TooLong();
  size_t matched = 0;
  if (FindEnd(message, 0, matched) || FindEnd(delimiter_, 0, matched) != delimiter_.size()) {
    return absl::InvalidArgumentError("a message that makes a delimiter before its end");
  }
  sink(message);
  sink(delimiter_);
  return absl::OkStatus();
}

std::optional<size_t> DelimiterCodec::FindEnd(absl::string_view bytes, size_t from,
                                              size_t& matched) const {
  for (size_t i = from; i < bytes.size(); ++i) {
    if (matched == 0) i = bytes.find(delimiter_.front(), i);  // By memchr(), which is faster.
    if (i == absl::string_view::npos) break;
    matched = Matched(matched, bytes[i]);
    if (matched == delimiter_.size()) return i + 1;
  }
  return std::nullopt;
}

size_t DelimiterCodec::Matched(size_t matched, char next) const {
  while (matched > 0 && delimiter_[matched] != next) matched = borders_[matched - 1];
  return delimiter_[matched] == next ? matched + 1 : 0;
}

absl::Status DelimiterCodec::TooLong() const {
  return absl::ResourceExhaustedError(
      absl::StrCat("a message of more than ", message_bytes_max_, " bytes"));
}

}  // namespace millrace
