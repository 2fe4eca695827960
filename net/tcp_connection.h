// SPDX-License-Identifier: Apache-2.0
//
// TcpConnection is one connection, TCP or Unix: what its handler sends, pauses and closes. It
// belongs to a ConnectionTable of its loop; a handler borrows it for a call and keeps, if it must,
// its handle(). Loop-only, all of it.
//
//   void OnData(TcpConnection& conn, Buffer& input) override {
//     conn.Send(Answer(input));
//     if (done_) conn.CloseAfterFlush();
//   }
//
// What is sent goes out in one gathering write when the handler's call returns, or at the end of
// the turn if it was sent from elsewhere. Closing, pausing and aborting likewise take effect then:
// no method calls the handler from inside itself.
//
// Flow control: while output stands above its high mark, input is not read, so a peer that does not
// read is not read from; see ConnectionLimits. Every end has a reason, and OnClose() tells it once.

#ifndef MILLRACE_NET_TCP_CONNECTION_H_
#define MILLRACE_NET_TCP_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/intrusive_list.h"
#include "base/monotonic_time.h"
#include "base/ref.h"
#include "base/thread_role.h"
#include "base/unique_fd.h"
#include "net/buffer.h"
#include "net/close_reason.h"
#include "net/connection_condition.h"
#include "net/connection_extras.h"
#include "net/connection_handle.h"
#include "net/connection_handler.h"
#include "net/connection_owner.h"
#include "net/event_loop.h"
#include "net/flight_recorder.h"
#include "net/io_handler.h"
#include "net/io_result.h"
#include "net/output_queue.h"
#include "net/pending_message.h"
#include "net/plain_transport.h"
#include "net/rate_limit.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"
#include "net/transport.h"

namespace millrace {

class TcpConnection final : public IoHandler, private TimerEntry, private ListLink<TcpConnection> {
 public:
  // For ConnectionTable, which also calls Start(), once. Without a `transport` it is a plain one
  // over `socket`. `listener`: which of the server's it came to.
  TcpConnection(ConnectionOwner& owner, Socket socket, std::unique_ptr<Transport> transport,
                SocketAddress peer, std::unique_ptr<ConnectionHandler> handler,
                uint16_t listener = 0);
  void Start() LOOP_ONLY;
  // Tells the handler OnDrain(), once: now, or when it has opened. From then on its idle time is
  // the owner's drain_idle_ms(), and being idle half-closes it; see TcpServer::Drain().
  void TellDrain() LOOP_ONLY;
  // Ends it at once, telling the handler.
  void EndNow(CloseCause cause, const absl::Status& why) LOOP_ONLY;

  // All return whether there is room for more: false above the high mark (wait for OnWritable()),
  // and once the connection or our half of it is closed (what is sent then is dropped). What does
  // not fit below output_bytes_max aborts the connection. Sending nothing is fine.
  bool Send(absl::string_view bytes) LOOP_ONLY;  // Copies.
  bool SendOwned(std::string bytes) LOOP_ONLY;   // Takes over, as the next two.
  bool Send(Buffer&& bytes) LOOP_ONLY;           // From OnData(), its input: not even a copy then.
  bool Send(const absl::Cord& bytes) LOOP_ONLY;
  // Sends `count` bytes of `file` from `offset`. One that proves shorter breaks the connection.
  bool SendFile(UniqueFd file, off_t offset, uint64_t count) LOOP_ONLY;
  // What waits to be written.
  uint64_t output_bytes() const LOOP_ONLY { return output_.bytes(); }

  // Reading pauses until as many resumes. A reset that comes meanwhile is reported after.
  void PauseReading() LOOP_ONLY;
  void ResumeReading() LOOP_ONLY;  // Requires: paused.

  // Our end of stream, after what was sent. Reading goes on.
  void CloseWrite() LOOP_ONLY;
  // The same, then waits for the peer's end, dropping what still comes, and closes.
  void CloseAfterFlush() LOOP_ONLY;
  // Drops what waits, and resets the connection. `why` goes to OnClose(), so it should not be OK.
  void Abort(absl::Status why, CloseCause cause = CloseCause::kHandlerAborted) LOOP_ONLY;

  // For the clocks of ConnectionLimits::progress: a message is under way from the one to the other,
  // though its pieces are consumed as they come. Needed by nobody who leaves unread what is not
  // whole. Beginning again starts the clocks anew.
  void BeginMessage() LOOP_ONLY;
  void EndMessage() LOOP_ONLY;

  // These replace ConnectionLimits' for this connection, and count from now on.
  void SetIdleTimeout(absl::Duration timeout) LOOP_ONLY;
  void SetReadTimeout(absl::Duration timeout) LOOP_ONLY;
  void SetWriteTimeout(absl::Duration timeout) LOOP_ONLY;
  // So do these; each call begins with a full burst, and InvalidArgument changes nothing.
  absl::Status SetRateLimits(const RateLimits& rate, Ref<RateLimitGroup> group = {}) LOOP_ONLY;

  absl::Status SetNoDelay(bool on) LOOP_ONLY;
  absl::Status SetKeepAlive(const KeepAlive& keep_alive) LOOP_ONLY;
  absl::StatusOr<tcp_info> GetTcpInfo() LOOP_ONLY;
  // Null once closed.
  Transport* transport() LOOP_ONLY { return closed() ? nullptr : &wire(); }
  const SocketAddress& peer_address() const { return peer_; }
  // Where in TcpServer::addresses() it was accepted; 0 for a client's.
  uint16_t listener() const { return listener_; }
  absl::StatusOr<SocketAddress> local_address() LOOP_ONLY;

  bool closed() const LOOP_ONLY { return is_.state == State::kClosed; }
  // Why it has ended. From OnClose() on.
  CloseReason close_reason() const LOOP_ONLY { return {cause_, error_, why_}; }
  // Open, and nobody has asked to close or abort it.
  bool open() const LOOP_ONLY { return is_.state == State::kOpen && !is_.failing; }
  // Open, neither paused nor above the high mark: a handler may take on more.
  bool reads() const LOOP_ONLY { return open() && !is_.holds_back(); }
  EventLoop& loop() const { return owner_.loop(); }
  // What it is up to, in a line, and below it what its flight recorder has kept.
  std::string Report() const LOOP_ONLY;
  // Null unless ConnectionLimits::flight_recorder.
  const FlightRecorder* flight_recorder() const LOOP_ONLY;
  // Names this connection to others; none before OnOpen() and in OnClose().
  ConnectionHandle handle() const LOOP_ONLY { return {loop().ref(), registration_.token()}; }
  // The handler, as what it is. Requires: it is a T.
  template <typename T>
  T& handler() LOOP_ONLY {
    return static_cast<T&>(*handler_);
  }

 private:
  friend class ConnectionHolding;
  friend class ConnectionTable;
  template <typename T, typename Tag>
  friend class IntrusiveList;

  using State = ConnectionState;

  Transport& wire() { return transport_ != nullptr ? *transport_ : plain_; }
  bool is_plain() const { return transport_ == nullptr; }
  void CloseWire() LOOP_ONLY;

  // Open, reading, and nothing was asked for: as between two messages.
  bool ordinary() const { return is_.ordinary(); }

  void OnIo(Io ready) override LOOP_ONLY;
  void OnIoInOtherConditions(Io ready) LOOP_ONLY;
  void OnEndOfTurn() override LOOP_ONLY;
  void OnTimer() override LOOP_ONLY;
  void Describe(Description& into) const override LOOP_ONLY;

  void Shake() LOOP_ONLY;
  void TookNothing(IoResult result) LOOP_ONLY;
  void CountInput(size_t n) LOOP_ONLY;
  void OfferInput(absl::Span<char> bytes) LOOP_ONLY;
  void Offer(Buffer& input) LOOP_ONLY;
  void ReadAgain() LOOP_ONLY;
  // Requires of the first two: message_.
  void TakeMore(absl::Span<char> bytes) LOOP_ONLY;
  void OfferRest() LOOP_ONLY;
  void KeepRest(Buffer& view) LOOP_ONLY;
  void MakeMessage() LOOP_ONLY;
  void CheckRest() LOOP_ONLY;
  void DropMessageIfOver() LOOP_ONLY;
  void TakeEnd() LOOP_ONLY;

  // Room for `n` more bytes of output, or reason to drop them.
  bool MayQueue(uint64_t n) LOOP_ONLY;
  bool MayQueueIfOpen(uint64_t n) LOOP_ONLY;
  bool IsOffered(Buffer& bytes) const;
  bool SendBehindOthers(Buffer& bytes) LOOP_ONLY;
  bool Queued() LOOP_ONLY;
  void Flush() LOOP_ONLY;
  void WriteSome() LOOP_ONLY;
  void WriteBorrowed() LOOP_ONLY;
  void WroteSomeBorrowed(IoResult result) LOOP_ONLY;
  void Wrote(size_t n) LOOP_ONLY;
  void WroteNotAll(IoResult result) LOOP_ONLY;
  void WaitToWrite(IoResult::Kind kind) LOOP_ONLY;
  void TellWritable() LOOP_ONLY;

  // What was read, and the handler did not consume.
  size_t unread_bytes() const { return message_ == nullptr ? 0 : message_->unread.size(); }
  void Note(FlightEvent event, uint64_t number = 0) LOOP_ONLY {
    if (is_.recorded) NoteNow(event, number);
  }
  void NoteNow(FlightEvent event, uint64_t number) LOOP_ONLY;

  // Brings everything in order after others had their say: offers, writes, closes, waits.
  void Settle() LOOP_ONLY;
  void SettleLater() LOOP_ONLY;
  void AdvanceClose() LOOP_ONLY;
  void SendEnd() LOOP_ONLY;
  void Fail(CloseCause cause, absl::Status why, int error = 0) LOOP_ONLY;
  void Fail(IoResult failed) LOOP_ONLY;
  void Finish() LOOP_ONLY;

  bool must_offer() const;  // There is unread input that the handler is to see again.
  void UpdateInterest() LOOP_ONLY;
  void EndUnwatched(const absl::Status& why) LOOP_ONLY;
  ConnectionExtras& extras();
  OwnTimeouts timeouts() const;
  class Deadlines;  // What they are, and when its time is over.
  void EnsureTimer() LOOP_ONLY;
  void EnsureMessageTimer() LOOP_ONLY;
  void TellHandlerDrain() LOOP_ONLY;

  void TakeUpLimits() LOOP_ONLY;
  // How many bytes may go now. If none, waits until some may.
  size_t MayRead() LOOP_ONLY;
  uint64_t MayWrite() LOOP_ONLY;
  bool EndWaits() LOOP_ONLY;   // Those whose time is over; whether there were any.
  void CountHeld() LOOP_ONLY;  // For the memory budget.

  ConnectionOwner& owner_;
  PlainTransport plain_;
  std::unique_ptr<Transport> transport_;  // Null: plain_ is it.
  std::unique_ptr<ConnectionHandler> handler_;
  Registration registration_;
  std::unique_ptr<PendingMessage> message_;  // While one is under way; see its over().
  OutputQueue output_;
  MonotonicTime last_read_, last_write_;  // Progress, or when it was first waited for.
  absl::Status why_;                      // OK until something fails.

  std::unique_ptr<ConnectionExtras> extras_;  // Null while there are none.
  ConnectionCondition is_;
  uint16_t in_handler_ = 0;  // Calls of the handler on the stack.
  bool told_open_ : 1 = false;
  bool settles_later_ : 1 = false;
  bool resets_ : 1 = false;
  bool drains_ : 1 = false;               // TellDrain() was called.
  CloseCause cause_ = CloseCause::kNone;  // Before it has ended, who began to end it.
  uint16_t error_ = 0;
  const uint16_t listener_;

  const SocketAddress peer_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_TCP_CONNECTION_H_
