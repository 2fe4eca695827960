// SPDX-License-Identifier: Apache-2.0
//
// LengthPrefixCodec is a Codec for messages of any bytes, each after its length: an integer of 1,
// 2, 4 or 8 bytes. One object for each connection, owned by its FramedHandler. Loop-only.
//
//   LengthPrefixCodec frames;                          // "hello" is 00 00 00 05 and "hello".
//   LengthPrefixCodec records({.prefix_bytes = 2, .byte_order = std::endian::little});
//
// A length that is too large is an error as soon as it is there, before anything is waited for.

#ifndef MILLRACE_NET_CODEC_LENGTH_PREFIX_CODEC_H_
#define MILLRACE_NET_CODEC_LENGTH_PREFIX_CODEC_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/codec/codec.h"
#include "net/limits.h"

namespace millrace {

class LengthPrefixCodec {
 public:
  using Message = absl::string_view;

  struct Options {
    // Of the length: 1, 2, 4 or 8.
    int prefix_bytes = 4;
    std::endian byte_order = std::endian::big;
    // Bytes of the longest message; a short prefix may allow less. A frame is consumed when it is
    // whole, and waits unread until then: raise ConnectionLimits::input_bytes_max with this, to at
    // least that and the prefix. By default the two fit exactly, with the longest prefix.
    size_t message_bytes_max = kInputBytesMax - 8;
    // Whether the length is that of the frame, the prefix with the message.
    bool counts_prefix = false;
  };

  LengthPrefixCodec() : LengthPrefixCodec(Options()) {}
  // Requires: prefix_bytes is one of the four.
  explicit LengthPrefixCodec(const Options& options);

  // Errors: ResourceExhausted, a message longer than message_bytes_max. InvalidArgument, a length
  // that counts the prefix and is less than that.
  DecodeResult<Message> Decode(absl::string_view input) const;
  // Errors: ResourceExhausted, a message longer than message_bytes_max, or than the prefix can say.
  absl::Status Encode(absl::string_view message, ByteSink sink) const;

 private:
  uint64_t ReadPrefix(absl::string_view input) const;
  absl::Status TooLong(uint64_t message_bytes) const;

  size_t prefix_bytes_;
  uint64_t counted_prefix_bytes_;  // What the length says more than the message has.
  uint64_t message_bytes_max_;     // Of both bounds, the lower.
  std::endian byte_order_;
};

static_assert(LengthPrefixCodec::Options().message_bytes_max + 8 <= kInputBytesMax,
              "a frame that is not whole yet must be a rest that a handler may leave");

}  // namespace millrace

#endif  // MILLRACE_NET_CODEC_LENGTH_PREFIX_CODEC_H_
