// SPDX-License-Identifier: Apache-2.0
//
// LineCodec is a Codec for lines of text, or of any bytes but LF: each ends with LF, and a CR right
// before that is dropped. CRs elsewhere belong to the line, and a NUL is a byte like others. One
// object for each connection, owned by its FramedHandler. Loop-only.
//
//   class Shouter final : public FramedHandler<LineCodec> { ... };
//   LineCodec short_lines({.line_bytes_max = 512});
//
// Each byte is searched once, however slowly a line drips in, and a line that never ends is an
// error as soon as it is certain to be too long: at most line_bytes_max + 2 bytes of it are waited
// for.

#ifndef MILLRACE_NET_CODEC_LINE_CODEC_H_
#define MILLRACE_NET_CODEC_LINE_CODEC_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/codec/codec.h"
#include "net/limits.h"

namespace millrace {

class LineCodec {
 public:
  using Message = absl::string_view;

  struct Options {
    // Bytes of the longest line, without its LF and the CR before that. 4,096 is what a terminal
    // takes, and far above what people type. With both of these it must fit into
    // ConnectionLimits::input_bytes_max.
    size_t line_bytes_max = 4096;
  };

  LineCodec() : LineCodec(Options()) {}
  // Requires: line_bytes_max is a bound, so at most half of what a size_t can be.
  explicit LineCodec(const Options& options);

  // Errors: ResourceExhausted, a line longer than line_bytes_max.
  DecodeResult<Message> Decode(absl::string_view input);
  // Appends LF. Errors: InvalidArgument, a line that would not be decoded to itself, because it
  // contains LF or ends with CR; ResourceExhausted, one longer than line_bytes_max.
  absl::Status Encode(absl::string_view line, ByteSink sink) const;

 private:
  absl::Status TooLong() const;

  size_t line_bytes_max_;
  size_t searched_ = 0;  // So many bytes of the line that is not whole yet are known to be no LF.
};

static_assert(LineCodec::Options().line_bytes_max + 2 <= kInputBytesMax,
              "a line that is not whole yet must be a rest that a handler may leave");

}  // namespace millrace

#endif  // MILLRACE_NET_CODEC_LINE_CODEC_H_
