// SPDX-License-Identifier: Apache-2.0
//
// A Codec turns a stream of bytes into messages and back: one object for each connection, because
// it may remember what it has looked at. Loop-only, as the FramedHandler that owns it; it knows
// neither sockets nor connections.
//
//   LineCodec lines;
//   absl::StatusOr<std::optional<Decoded<absl::string_view>>> line = lines.Decode("hello\nwor");
//   // (*line)->message is "hello", (*line)->bytes is 6. Decode("wor") then says: more is needed.

#ifndef MILLRACE_NET_CODEC_CODEC_H_
#define MILLRACE_NET_CODEC_CODEC_H_

#include <concepts>
#include <cstddef>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace millrace {

// A message, and how many bytes at the front of the input it took with all that frames it. One that
// is a view looks into that input.
template <typename Message>
struct Decoded {
  Message message;
  size_t bytes;  // At least 1.
};

// What Decode() returns. nullopt: the message is not whole yet. An error: it never will be, the
// stream cannot be understood from here on, and should end.
template <typename Message>
using DecodeResult = absl::StatusOr<std::optional<Decoded<Message>>>;

// Takes encoded bytes, in order and in pieces, so that nothing is put together only to be taken
// apart again.
using ByteSink = absl::FunctionRef<void(absl::string_view bytes)>;

// Decode() is given what has come and is not yet consumed, at least one byte: after nullopt the
// same bytes and perhaps more behind them, after a message what follows it, after an error the same
// as after nullopt, which is the same error. What it says must not depend on how the stream was cut
// into pieces. It bounds what it waits for, and says so with ResourceExhausted.
//
// Encode() writes one whole frame, or nothing and an error for a message that cannot be framed;
// what it writes is decoded to the same message.
template <typename C>
concept Codec = requires(C& codec, absl::string_view input, const typename C::Message& message,
                         ByteSink sink) {
  { codec.Decode(input) } -> std::same_as<DecodeResult<typename C::Message>>;
  { codec.Encode(message, sink) } -> std::same_as<absl::Status>;
};

}  // namespace millrace

#endif  // MILLRACE_NET_CODEC_CODEC_H_
