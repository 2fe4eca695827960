// SPDX-License-Identifier: Apache-2.0
//
// DelimiterCodec is a Codec for messages that each end with a delimiter, any string but the empty
// one. A message ends where the delimiter ends for the first time. One object for each connection,
// owned by its FramedHandler. Loop-only. For lines there is LineCodec.
//
//   DelimiterCodec records(";");
//   DelimiterCodec strings(std::string(1, '\0'), {.message_bytes_max = 255});
//
// It searches as Knuth, Morris and Pratt do, and remembers how far it came: each byte is looked at
// once, however slowly a message drips in, and however alike the message and the delimiter are.

#ifndef MILLRACE_NET_CODEC_DELIMITER_CODEC_H_
#define MILLRACE_NET_CODEC_DELIMITER_CODEC_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/codec/codec.h"
#include "net/limits.h"

namespace millrace {

class DelimiterCodec {
 public:
  using Message = absl::string_view;

  struct Options {
    // Bytes of the longest message, as of LineCodec's longest line. With the delimiter it must fit
    // into ConnectionLimits::input_bytes_max.
    size_t message_bytes_max = 4096;
  };

  explicit DelimiterCodec(std::string delimiter)
      : DelimiterCodec(std::move(delimiter), Options()) {}
  // Requires: the delimiter is not empty; message_bytes_max is at most half of what a size_t can
  // be.
  DelimiterCodec(std::string delimiter, const Options& options);

  // Errors: ResourceExhausted, a message longer than message_bytes_max, as soon as that is certain.
  DecodeResult<Message> Decode(absl::string_view input);
  // Appends the delimiter. Errors: InvalidArgument, a message that would not be decoded to itself,
  // because it contains the delimiter, or its end and the delimiter's begin make one, as "x" and
  // "xx" do; ResourceExhausted, one longer than message_bytes_max.
  absl::Status Encode(absl::string_view message, ByteSink sink) const;

 private:
  // Where the first delimiter ends in `bytes`, searched from `from` on. `matched` bytes of it stand
  // right before that, and afterwards at the end.
  std::optional<size_t> FindEnd(absl::string_view bytes, size_t from, size_t& matched) const;
  // How many bytes of the delimiter the next byte makes, if it follows `matched` of them.
  size_t Matched(size_t matched, char next) const;
  absl::Status TooLong() const;

  std::string delimiter_;
  // For each length but 0 of a begin of the delimiter: how long the longest shorter begin is that
  // this one ends with. That is what is still matched if the next byte does not fit.
  std::vector<size_t> borders_;
  size_t message_bytes_max_;
  size_t searched_ = 0;  // Bytes of the message that is not whole yet, and
  size_t matched_ = 0;   // so many of the last of these may be the delimiter's first.
};

static_assert(DelimiterCodec::Options().message_bytes_max < kInputBytesMax,
              "a message that is not whole yet must be a rest that a handler may leave");

}  // namespace millrace

#endif  // MILLRACE_NET_CODEC_DELIMITER_CODEC_H_
