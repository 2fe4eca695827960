// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_connection.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <typeinfo>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/limits.h"

namespace millrace {
namespace {

// That went, or came.
size_t BytesOf(IoResult result) {
  return result.ok() && result.kind() != IoResult::kEnd ? result.bytes() : 0;
}

absl::Status ClosedError() { return absl::FailedPreconditionError("the connection is closed"); }

}  // namespace

void ConnectionHandler::OnEndOfInput(TcpConnection& conn, Buffer&) { conn.CloseAfterFlush(); }

TcpConnection::TcpConnection(ConnectionOwner& owner, Socket socket,
                             std::unique_ptr<Transport> transport, SocketAddress peer,
                             std::unique_ptr<ConnectionHandler> handler, uint16_t listener)
    : owner_(owner),
      plain_(std::move(socket)),
      transport_(std::move(transport)),
      handler_(std::move(handler)),
      output_(owner.memory().output_pools()),
      listener_(listener),
      peer_(std::move(peer)) {}

void TcpConnection::Start() {
  last_read_ = last_write_ = loop().now();
  TakeUpLimits();
  errno = 0;
  absl::StatusOr<Registration> watch = loop().Watch(wire().socket().fd(), Io::kRead, *this);
  if (!watch.ok()) return EndUnwatched(watch.status());
  registration_ = *std::move(watch);
  is_.interest = Io::kRead;
  Shake();
  Settle();
  if (!closed()) EnsureTimer();
}

void TcpConnection::Shake() {
  const IoResult result = wire().Handshake();
  if (!result.ok()) return Fail(result);
  is_.read_needs = Io::kRead;
  if (result.kind() == IoResult::kWantRead) return;
  if (result.kind() == IoResult::kWantWrite) {
    is_.read_needs = Io::kWrite;
    return;
  }
  if (result.kind() == IoResult::kEnd) {
    return Fail(CloseCause::kHandshakeFailed,
                absl::UnavailableError("the peer left during the handshake"));
  }
  is_.state = State::kOpen;
  is_.awaits_first_byte = owner_.timeouts().first_byte_ms != 0;
  last_read_ = last_write_ = loop().now();  // The handshake had a limit of its own.
  told_open_ = true;
  Note(FlightEvent::kOpened);
  owner_.counters().opened.Increment();
  const bool drains = drains_;  // And not: since a moment ago.
  ++in_handler_;
  handler_->OnOpen(*this);
  --in_handler_;
  if (drains) TellHandlerDrain();
}

void TcpConnection::Describe(Description& into) const {
  const ConnectionHandler& handler = *handler_;
  into.type = &typeid(handler);
  into.peer_bytes = peer_.ToSockaddr(into.peer);
}

// The way of most messages: what was read is offered, and what the handler gives back is written,
// with no call that could be spared.
void TcpConnection::OnIo(Io ready) {
  if (ABSL_PREDICT_FALSE(!ordinary() || !is_plain())) return OnIoInOtherConditions(ready);
  const IoResult result = plain_.Read(owner_.room());
  if (ABSL_PREDICT_FALSE(result.kind() != IoResult::kDone)) return TookNothing(result);
  CountInput(result.bytes());
  OfferInput({owner_.room().data(), result.bytes()});
  if (!ordinary() || !output_.is_borrowed()) return Settle();
  WriteBorrowed();
}

void TcpConnection::OnIoInOtherConditions(Io ready) {
  if (is_.state == State::kHandshaking) {
    Shake();
    if (is_.state == State::kOpen) EnsureTimer();  // The handshake's limit is over, others begin.
    return Settle();
  }
  if (is_.output_blocked && Any(ready & is_.write_needs)) is_.output_blocked = false;
  // What is unread comes before what follows it, above all before the peer's end.
  if (!is_.wants_input() || must_offer() || !Any(ready & is_.read_needs)) return Settle();
  const bool paces = is_.paced && is_.state == State::kOpen;  // What is dropped need not wait.
  const size_t room = paces ? MayRead() : owner_.room().size();
  if (room == 0) return Settle();
  is_.offer_again = false;  // What comes is offered, and with it what is there.
  is_.read_needs = Io::kRead;
  // One read a turn: what is left makes the descriptor ready again, and the neighbours go first.
  const IoResult result = wire().Read(owner_.room().first(room));
  if (paces) extras_->pace->limiter.DidRead(BytesOf(result), loop().now());
  if (result.kind() != IoResult::kDone) return TookNothing(result);
  CountInput(result.bytes());
  Note(FlightEvent::kRead, result.bytes());
  is_.awaits_first_byte = false;
  // Else we have taken our leave, and this only clears the line.
  if (is_.state == State::kOpen) OfferInput({owner_.room().data(), result.bytes()});
  Settle();
}

void TcpConnection::TookNothing(IoResult result) {
  if (!result.ok()) {
    Fail(result);
  } else if (result.kind() == IoResult::kEnd) {
    TakeEnd();
  } else {
    Note(FlightEvent::kReadBlocked);
    if (result.kind() == IoResult::kWantWrite) is_.read_needs = Io::kWrite;
  }
  Settle();
}

void TcpConnection::OnEndOfTurn() {
  settles_later_ = false;
  Settle();
}

inline void TcpConnection::CountInput(size_t n) {
  last_read_ = loop().now();
  owner_.counters().bytes_read.Add(n);
}

void TcpConnection::Offer(Buffer& input) {
  ++in_handler_;
  handler_->OnData(*this, input);
  --in_handler_;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline void TcpConnection::OfferInput(absl::Span<char> bytes) {
  if (ABSL_PREDICT_FALSE(message_ != nullptr)) return TakeMore(bytes);
  Buffer view = Buffer::Borrow(bytes, bytes.size());
  Offer(view);
  if (!view.empty()) KeepRest(view);
}

inline bool TcpConnection::MayQueue(uint64_t n) {
  const bool surely_fits = output_.bytes() + n <= owner_.limits().output_bytes_max;
  return ABSL_PREDICT_TRUE(ordinary() && surely_fits) || MayQueueIfOpen(n);
}

bool TcpConnection::MayQueueIfOpen(uint64_t n) {
  const uint64_t max = owner_.limits().output_bytes_max;
  if (is_.state != State::kOpen || is_.ends_write || is_.failing) return false;
  if (n <= max - output_.memory_bytes()) return true;
  Abort(absl::ResourceExhaustedError(
            absl::StrFormat("to send %d bytes while %d wait would pass %d (output_bytes_max)", n,
                            output_.memory_bytes(), max)),
        CloseCause::kOutputLimit);
  return false;
}

inline bool TcpConnection::Queued() {
  if (output_.bytes() > owner_.limits().output_bytes_high) {
    if (!is_.above_high) Note(FlightEvent::kAboveHigh, output_.bytes());
    is_.above_high = true;
  }
  if (in_handler_ == 0 && !output_.empty()) SettleLater();
  return !is_.above_high;
}

bool TcpConnection::Send(absl::string_view bytes) {
  if (!MayQueue(bytes.size())) return false;
  output_.Append(bytes);
  return Queued();
}

bool TcpConnection::SendOwned(std::string bytes) {
  if (!MayQueue(bytes.size())) return false;
  output_.AppendOwned(std::move(bytes));
  return Queued();
}

bool TcpConnection::Send(const absl::Cord& bytes) {
  if (!MayQueue(bytes.size())) return false;
  output_.AppendOwned(bytes);
  return Queued();
}

// Whether they are what our handler is being given. Such bytes wait where they are: they are
// written, or copied, before anybody reads again. What is another connection's input, or anybody's
// memory, is copied.
inline bool TcpConnection::IsOffered(Buffer& bytes) const {
  return in_handler_ > 0 && bytes.borrowed() && owner_.memory().Lends(bytes.data());
}

bool TcpConnection::Send(Buffer&& bytes) {
  const bool is_alone = ordinary() && output_.empty();
  const bool fits = bytes.size() <= owner_.limits().output_bytes_max;
  if (ABSL_PREDICT_FALSE(!is_alone || !fits || !IsOffered(bytes))) return SendBehindOthers(bytes);
  output_.BorrowAlone(bytes.readable());
  bytes.Clear();
  is_.above_high = output_.bytes() > owner_.limits().output_bytes_high;
  return !is_.above_high;
}

ABSL_ATTRIBUTE_NOINLINE bool TcpConnection::SendBehindOthers(Buffer& bytes) {
  if (!MayQueue(bytes.size())) return false;
  if (IsOffered(bytes)) {
    output_.AppendBorrowed(bytes.readable());
  } else if (bytes.borrowed()) {
    output_.Append(bytes.readable());
  } else {
    output_.AppendOwned(std::move(bytes));
  }
  bytes.Clear();
  return Queued();
}

bool TcpConnection::SendFile(UniqueFd file, off_t offset, uint64_t count) {
  if (!MayQueue(0)) return false;  // It takes no memory, so output_bytes_max is not for it.
  output_.AppendFile(std::move(file), offset, count);
  return Queued();
}

void TcpConnection::Flush() {
  for (int i = 0; i < kWritesPerTurnMax; ++i) {
    if (output_.empty() || is_.output_blocked || is_.write_waits || is_.failing) break;
    WriteSome();
  }
  if (!output_.empty()) {
    output_.OwnBorrowed();
    const bool waits = is_.output_blocked || is_.write_waits;
    if (!waits && !is_.failing) SettleLater();  // Others go first.
  }
  if (is_.above_high && output_.bytes() <= owner_.limits().output_bytes_low) {
    is_.above_high = false;
    is_.tell_writable = true;
    Note(FlightEvent::kBelowLow, output_.bytes());
    ReadAgain();
  }
}

void TcpConnection::WriteSome() {
  const uint64_t most = is_.paced ? MayWrite() : OutputQueue::kUnbounded;
  if (most == 0) return;
  const IoResult result = output_.WriteTo(wire(), most);
  if (is_.paced) extras_->pace->limiter.DidWrite(BytesOf(result), loop().now());
  if (result.kind() != IoResult::kDone) return WroteNotAll(result);
  Note(FlightEvent::kWrote, result.bytes());
  is_.write_stalled = false;
  Wrote(result.bytes());
}

// Requires: ordinary, plain, and nothing waits but what was borrowed.
inline void TcpConnection::WriteBorrowed() {
  const absl::string_view bytes = output_.borrowed();
  const IoResult result = plain_.Write(bytes);
  if (ABSL_PREDICT_FALSE(result.bytes() != bytes.size())) return WroteSomeBorrowed(result);
  output_.BorrowedIsWritten();
  Wrote(bytes.size());
}

ABSL_ATTRIBUTE_NOINLINE void TcpConnection::WroteSomeBorrowed(IoResult result) {
  WroteNotAll(output_.WroteSomeBorrowed(result));
  Settle();
}

inline void TcpConnection::Wrote(size_t n) {
  last_write_ = loop().now();
  owner_.counters().bytes_written.Add(n);
}

void TcpConnection::WroteNotAll(IoResult result) {
  if (!result.ok()) return Fail(result);
  if (result.kind() == IoResult::kEnd) {
    return Fail(CloseCause::kFileFailed,
                absl::DataLossError(absl::StrCat("a file being sent ended ", result.bytes(),
                                                 " bytes before its range did")));
  }
  if (result.bytes() > 0) Note(FlightEvent::kWrote, result.bytes());
  if (result.bytes() > 0 || !is_.write_stalled) Wrote(result.bytes());
  WaitToWrite(result.kind());
}

void TcpConnection::WaitToWrite(IoResult::Kind kind) {
  is_.output_blocked = is_.write_stalled = true;
  Note(FlightEvent::kWriteBlocked, output_.bytes());
  is_.write_needs = kind == IoResult::kWantRead ? Io::kRead : Io::kWrite;
  EnsureTimer();
}

void TcpConnection::TellWritable() {
  if (!is_.tell_writable || is_.failing || is_.state != State::kOpen || is_.ends_write) return;
  is_.tell_writable = false;
  Note(FlightEvent::kToldWritable);
  ++in_handler_;
  handler_->OnWritable(*this);
  --in_handler_;
  if (!closed()) Flush();
  if (!closed() && is_.tell_writable) SettleLater();  // The peer is fast; still, others go first.
}

void TcpConnection::Settle() {
  if (must_offer()) OfferRest();
  if (closed()) return;
  if (!output_.empty() || is_.above_high) Flush();
  if (ordinary() && output_.empty()) return;  // The usual end of a message.
  TellWritable();
  if (closed()) return;
  if (is_.failing) return Finish();
  AdvanceClose();
  if (closed()) return;
  if (must_offer()) SettleLater();  // Once in a turn: others go first.
  const uint64_t holds = output_.memory_bytes() + unread_bytes();
  if (is_.holds_much || holds >= kBudgetHolderBytes) CountHeld();
  UpdateInterest();
}

// Inside a call of the handler there is nothing to do: we settle when it returns.
void TcpConnection::SettleLater() {
  if (in_handler_ > 0 || settles_later_ || closed()) return;
  settles_later_ = true;
  registration_.CallAtEndOfTurn();
}

void TcpConnection::PauseReading() {
  CHECK_LT(is_.pauses, std::numeric_limits<uint16_t>::max());
  if (is_.pauses++ > 0) return;
  Note(FlightEvent::kPaused);
  if (message_ != nullptr) message_->SetReading(false, loop().now());
  SettleLater();
}

void TcpConnection::ResumeReading() {
  CHECK_GT(is_.pauses, 0) << "ResumeReading() without PauseReading()";
  if (--is_.pauses > 0 || closed()) return;
  Note(FlightEvent::kResumed);
  ReadAgain();
  SettleLater();
}

// Reading goes on: with what is unread, and with time that counts from now. So resuming counts as
// activity, which the peer cannot cause.
void TcpConnection::ReadAgain() {
  is_.offer_again = true;
  last_read_ = loop().now();
  if (message_ != nullptr) message_->SetReading(!is_.holds_back(), loop().now());
  const bool has_deadline = timeouts().read_ms != 0 || message_ != nullptr || is_.awaits_first_byte;
  if (has_deadline) EnsureTimer();
}

inline bool TcpConnection::must_offer() const {
  return is_.offer_again && message_ != nullptr && !message_->unread.empty() &&
         is_.state == State::kOpen && !is_.holds_back() && !is_.failing;
}

void TcpConnection::UpdateInterest() {
  Io interest = Io::kNone;
  if (is_.wants_input()) interest |= is_.read_needs;
  if (message_ != nullptr) message_->SetReading(is_.wants_input(), loop().now());
  if (is_.output_blocked) interest |= is_.write_needs;
  if (interest == is_.interest) return;
  errno = 0;
  const absl::Status status = registration_.SetInterest(interest);
  if (!status.ok()) return EndUnwatched(status);
  is_.interest = interest;
}

absl::Status TcpConnection::SetNoDelay(bool on) {
  return closed() ? ClosedError() : wire().socket().SetNoDelay(on);
}

absl::Status TcpConnection::SetKeepAlive(const KeepAlive& keep_alive) {
  return closed() ? ClosedError() : wire().socket().SetKeepAlive(keep_alive);
}

absl::StatusOr<tcp_info> TcpConnection::GetTcpInfo() {
  if (closed()) return ClosedError();
  return wire().socket().TcpInfo();
}

absl::StatusOr<SocketAddress> TcpConnection::local_address() {
  if (closed()) return ClosedError();
  return wire().socket().LocalAddress();
}

}  // namespace millrace
