// SPDX-License-Identifier: Apache-2.0
//
// FramedHandler is a ConnectionHandler that is told messages and not bytes: it owns a codec and
// feeds it what comes. Derive from it, one object for each connection. Loop-only.
//
//   class Shouter final : public FramedHandler<LineCodec> {
//     void OnMessage(TcpConnection& conn, const absl::string_view& line) override {
//       Send(conn, absl::AsciiStrToUpper(line)).IgnoreError();   // A line stays one.
//     }
//   };
//
// No messages come while the connection does not read: once it is paused, closing, or above the
// high mark of its output, the rest stays where it is, and comes when reading goes on. A message
// that is cut off by the end of input is dropped.

#ifndef MILLRACE_NET_CODEC_FRAMED_HANDLER_H_
#define MILLRACE_NET_CODEC_FRAMED_HANDLER_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/thread_role.h"
#include "net/buffer.h"
#include "net/close_reason.h"
#include "net/codec/codec.h"
#include "net/connection_handler.h"
#include "net/tcp_connection.h"

namespace millrace {

template <Codec C>
class FramedHandler : public ConnectionHandler {
 public:
  using Message = typename C::Message;

  explicit FramedHandler(C codec = C()) : codec_(std::move(codec)) {}

  // A message came. One that is a view is good for this call only.
  virtual void OnMessage(TcpConnection& conn, const Message& message) LOOP_ONLY = 0;

  // What came cannot be understood, for the reason that the codec gives. Say so to the peer, if the
  // protocol has words for it, and CloseAfterFlush(); or pause reading, and close later. A
  // connection that would read on when this returns is aborted; one that resumes hears this again.
  virtual void OnBadInput(TcpConnection& conn, const absl::Status& why) LOOP_ONLY {
    conn.Abort(why, CloseCause::kBadInput);
  }

  // Encodes and sends. The codec's error, with nothing sent, if the message cannot be framed.
  absl::Status Send(TcpConnection& conn, const Message& message) LOOP_ONLY {
    return codec_.Encode(message, [&](absl::string_view bytes) LOOP_ONLY { conn.Send(bytes); });
  }

 private:
  void OnData(TcpConnection& conn, Buffer& input) final LOOP_ONLY {
    while (conn.reads() && !input.empty()) {
      const DecodeResult<Message> decoded = codec_.Decode(input.readable());
      if (!decoded.ok()) return GiveUp(conn, decoded.status());
      if (!decoded->has_value()) return;
      OnMessage(conn, (*decoded)->message);
      input.Consume((*decoded)->bytes);
    }
  }

  void GiveUp(TcpConnection& conn, const absl::Status& why) LOOP_ONLY {
    OnBadInput(conn, why);
    if (conn.reads()) conn.Abort(why, CloseCause::kBadInput);
  }

  C codec_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_CODEC_FRAMED_HANDLER_H_
