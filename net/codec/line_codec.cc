// SPDX-License-Identifier: Apache-2.0
#include "net/codec/line_codec.h"

#include <limits>
#include <optional>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace millrace {

static_assert(Codec<LineCodec>);

LineCodec::LineCodec(const Options& options) : line_bytes_max_(options.line_bytes_max) {
  CHECK_LE(line_bytes_max_, std::numeric_limits<size_t>::max() / 2) << "that is no bound";
}

DecodeResult<absl::string_view> LineCodec::Decode(absl::string_view input) {
  DCHECK_LE(searched_, input.size()) << "what is not consumed must be offered again";
  // The longest line with both that may end it. What comes later cannot make it right.
  const absl::string_view window = input.substr(0, line_bytes_max_ + 2);
  const size_t lf = window.find('\n', searched_);
  const bool whole = lf != absl::string_view::npos;
  absl::string_view line = window.substr(0, lf);
  // A CR that came last belongs to the line, or to an end whose LF is still on its way.
  if (absl::EndsWith(line, "\r")) line.remove_suffix(1);
  if (line.size() > line_bytes_max_) return TooLong();
  searched_ = whole ? 0 : window.size();
  if (!whole) return std::nullopt;
  return Decoded<absl::string_view>{line, lf + 1};
}

absl::Status LineCodec::Encode(absl::string_view line, ByteSink sink) const {
  if (line.size() > line_bytes_max_) return TooLong();
  if (absl::StrContains(line, '\n')) return absl::InvalidArgumentError("a line with LF inside");
  if (absl::EndsWith(line, "\r")) {
    return absl::InvalidArgumentError("a line that ends with CR, which would be dropped");
  }
  sink(line);
  sink("\n");
  return absl::OkStatus();
}

absl::Status LineCodec::TooLong() const {
  return absl::ResourceExhaustedError(
      absl::StrCat("a line of more than ", line_bytes_max_, " bytes"));
}

}  // namespace millrace
