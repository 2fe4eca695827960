// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_connection.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/limits.h"

namespace millrace {
namespace {

MonotonicTime After(MonotonicTime since, uint32_t timeout_ms) {
  if (timeout_ms == 0) return MonotonicTime::InfiniteFuture();
  return MonotonicTime::FromNanoseconds(since.nanoseconds() + int64_t{timeout_ms} * 1'000'000);
}

}  // namespace

void ConnectionHandler::OnEndOfInput(TcpConnection& conn, Buffer&) { conn.CloseAfterFlush(); }

TcpConnection::TcpConnection(ConnectionOwner& owner, std::unique_ptr<Transport> transport,
                             SocketAddress peer, std::unique_ptr<ConnectionHandler> handler)
    : owner_(owner),
      transport_(std::move(transport)),
      handler_(std::move(handler)),
      output_(owner.memory().output_pools()),
      idle_timeout_ms_(owner.timeouts().idle_ms),
      read_timeout_ms_(owner.timeouts().read_ms),
      write_timeout_ms_(owner.timeouts().write_ms),
      peer_(std::move(peer)) {}

void TcpConnection::Start() {
  last_read_ = last_write_ = loop().now();
  absl::StatusOr<Registration> watch = loop().Watch(transport_->socket().fd(), Io::kRead, *this);
  if (!watch.ok()) return Finish(watch.status());
  registration_ = *std::move(watch);
  interest_ = Io::kRead;
  Shake();
  Settle();
  if (!closed()) EnsureTimer();
}

void TcpConnection::Shake() {
  const absl::StatusOr<IoResult> result = transport_->Handshake();
  if (!result.ok()) return Fail(result.status());
  read_needs_ = Io::kRead;
  if (result->kind == IoResult::kWantRead) return;
  if (result->kind == IoResult::kWantWrite) {
    read_needs_ = Io::kWrite;
    return;
  }
  if (result->kind == IoResult::kEnd) {
    return Fail(absl::UnavailableError("the peer left during the handshake"));
  }
  state_ = State::kOpen;
  last_read_ = last_write_ = loop().now();  // The handshake had a limit of its own.
  told_open_ = true;
  owner_.counters().opened.Increment();
  ++in_handler_;
  handler_->OnOpen(*this);
  --in_handler_;
}

void TcpConnection::OnIo(Io ready) {
  if (state_ == State::kHandshaking) {
    Shake();
    if (state_ == State::kOpen) EnsureTimer();  // The handshake's limit is over, others begin.
    return Settle();
  }
  if (output_blocked_ && Any(ready & write_needs_)) output_blocked_ = false;
  // What is unread comes before what follows it, above all before the peer's end.
  if (wants_input() && !must_offer() && Any(ready & read_needs_)) ReadOnce();
  Settle();
}

void TcpConnection::OnEndOfTurn() {
  settles_later_ = false;
  Settle();
}

// One read a turn: what is left makes the descriptor ready again, and the neighbours go first.
inline void TcpConnection::ReadOnce() {
  const absl::Span<char> room =
      owner_.memory().receive_buffer().first(owner_.limits().read_bytes_per_turn);
  const iovec into = {room.data(), room.size()};
  const absl::StatusOr<IoResult> result = transport_->Read({&into, 1});
  if (!result.ok()) return Fail(result.status());
  read_needs_ = result->kind == IoResult::kWantWrite ? Io::kWrite : Io::kRead;
  if (result->kind == IoResult::kEnd) return TakeEnd();
  if (result->kind == IoResult::kDone) TakeInput(room.first(result->bytes));
}

inline void TcpConnection::TakeInput(absl::Span<char> bytes) {
  last_read_ = loop().now();
  owner_.counters().bytes_read.Add(bytes.size());
  if (state_ != State::kOpen) return;  // We have taken our leave; this only clears the line.
  if (!input_.empty()) return TakeMore({bytes.data(), bytes.size()});
  Buffer view = Buffer::Borrow(bytes, bytes.size());
  may_borrow_ = true;
  Offer(view);
  may_borrow_ = false;
  if (!view.empty()) KeepRest(view);
}

void TcpConnection::TakeMore(absl::string_view bytes) {
  input_.Append(bytes);
  Offer(input_);
  CheckRest();
}

void TcpConnection::KeepRest(Buffer& view) {
  if (state_ != State::kOpen) return;
  input_ = std::move(view);  // Which copies it.
  CheckRest();
}

void TcpConnection::CheckRest() {
  if (state_ != State::kOpen || input_.size() <= owner_.limits().input_bytes_max) return;
  resets_ = true;
  Fail(absl::ResourceExhaustedError(
      absl::StrCat("the handler left ", input_.size(), " bytes of input unread, more than ",
                   owner_.limits().input_bytes_max, " (input_bytes_max)")));
}

inline void TcpConnection::Offer(Buffer& input) {
  offer_again_ = false;
  ++in_handler_;
  handler_->OnData(*this, input);
  --in_handler_;
}

void TcpConnection::TakeEnd() {
  peer_ended_ = true;
  last_read_ = loop().now();
  if (state_ != State::kOpen) return;
  ++in_handler_;
  handler_->OnEndOfInput(*this, input_);
  --in_handler_;
  input_.Clear();  // No more comes that could complete it.
}

inline bool TcpConnection::MayQueue(uint64_t n) {
  if (state_ != State::kOpen || ends_write_ || failing_) return false;
  if (n <= owner_.limits().output_bytes_max - output_.memory_bytes()) return true;
  AbortAsTooSlow(n);
  return false;
}

void TcpConnection::AbortAsTooSlow(uint64_t n) {
  Abort(absl::ResourceExhaustedError(
      absl::StrFormat("to send %d bytes while %d wait would pass %d (output_bytes_max)", n,
                      output_.memory_bytes(), owner_.limits().output_bytes_max)));
}

inline bool TcpConnection::Queued() {
  if (output_.bytes() > owner_.limits().output_bytes_high) above_high_ = true;
  if (!output_.empty()) SettleLater();
  return !above_high_;
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

// The bytes that the handler was just given wait where they are: Flush() comes before anybody reads
// again. What is another connection's input, or anybody's memory, is copied.
bool TcpConnection::Send(Buffer&& bytes) {
  if (!MayQueue(bytes.size())) return false;
  if (may_borrow_ && bytes.borrowed() && owner_.memory().Lends(bytes.data())) {
    output_.AppendBorrowed(bytes.readable());
    bytes.Clear();
  } else {
    Queue(bytes);
  }
  return Queued();
}

void TcpConnection::Queue(Buffer& bytes) {
  if (bytes.borrowed()) {
    output_.Append(bytes.readable());
  } else {
    output_.AppendOwned(std::move(bytes));
  }
  bytes.Clear();
}

bool TcpConnection::SendFile(UniqueFd file, off_t offset, uint64_t count) {
  if (!MayQueue(0)) return false;  // It takes no memory, so output_bytes_max is not for it.
  output_.AppendFile(std::move(file), offset, count);
  return Queued();
}

inline void TcpConnection::Flush() {
  for (int i = 0; i < kWritesPerTurnMax; ++i) {
    if (output_.empty() || output_blocked_ || failing_) break;
    WriteSome();
  }
  if (!output_.empty()) {
    output_.OwnBorrowed();
    if (!output_blocked_ && !failing_) SettleLater();  // Others go first.
  }
  if (above_high_ && output_.bytes() <= owner_.limits().output_bytes_low) {
    above_high_ = false;
    tell_writable_ = true;
    ReadAgain();
  }
}

inline void TcpConnection::WriteSome() {
  const uint64_t before = output_.bytes();
  const absl::StatusOr<IoResult> result = output_.WriteTo(*transport_);
  if (!result.ok()) return Fail(result.status());
  last_write_ = loop().now();
  owner_.counters().bytes_written.Add(before - output_.bytes());
  if (result->kind != IoResult::kDone) WaitToWrite(result->kind);
}

void TcpConnection::WaitToWrite(IoResult::Kind kind) {
  output_blocked_ = true;
  write_needs_ = kind == IoResult::kWantRead ? Io::kRead : Io::kWrite;
  EnsureTimer();
}

void TcpConnection::TellWritable() {
  if (!tell_writable_ || failing_ || state_ != State::kOpen || ends_write_) return;
  tell_writable_ = false;
  ++in_handler_;
  handler_->OnWritable(*this);
  --in_handler_;
  if (!closed()) Flush();
  if (!closed() && tell_writable_) SettleLater();  // The peer is fast; still, others go first.
}

void TcpConnection::Settle() {
  if (must_offer()) Offer(input_);
  if (closed()) return;
  if (!output_.empty() || above_high_) Flush();
  if (settled()) return;
  TellWritable();
  if (closed()) return;
  if (failing_) return Finish(why_);
  AdvanceClose();
  if (closed()) return;
  if (must_offer()) SettleLater();  // Once in a turn: others go first.
  UpdateInterest();
}

// Inside a call of the handler there is nothing to do: we settle when it returns.
inline void TcpConnection::SettleLater() {
  if (in_handler_ > 0 || settles_later_ || closed()) return;
  settles_later_ = true;
  registration_.CallAtEndOfTurn();
}

void TcpConnection::AdvanceClose() {
  if (state_ == State::kFlushing) input_.Clear();  // Nobody will be asked to read it.
  if (!output_.empty()) return;
  // Closing the socket tells the peer as well, when it is all we still have to do.
  if (state_ == State::kFlushing && peer_ended_) return Finish(absl::OkStatus());
  const bool ends = state_ == State::kFlushing || ends_write_;
  if (ends && !write_ended_ && !output_blocked_) SendEnd();
  if (failing_) return Finish(why_);
  if (!write_ended_) return;
  if (state_ == State::kFlushing) {
    state_ = State::kLingering;
    last_write_ = loop().now();  // Our end may have been sent long ago.
    EnsureTimer();
  }
  if (peer_ended_) Finish(absl::OkStatus());
}

void TcpConnection::SendEnd() {
  const absl::StatusOr<IoResult> result = transport_->CloseWrite();
  if (!result.ok()) return Fail(result.status());
  last_write_ = loop().now();
  if (result->kind == IoResult::kDone) {
    write_ended_ = true;
    return;
  }
  WaitToWrite(result->kind);
}

void TcpConnection::Fail(absl::Status why) {
  if (failing_) return;  // The first reason is the cause of the others.
  failing_ = true;
  why_ = std::move(why);
}

void TcpConnection::Abort(absl::Status why) {
  if (closed()) return;
  resets_ = true;
  Fail(std::move(why));
  SettleLater();
}

// Everything is settled before the handler hears of it, and nothing is done after but to die.
void TcpConnection::Finish(const absl::Status& why) {
  if (closed()) return;
  state_ = State::kClosed;
  Cancel();
  registration_.EndBeforeClose();
  // Where output is dropped, a clean end would have the peer take what it got for all there is.
  // Where none is, what the kernel still holds is delivered.
  if (resets_ || !output_.empty()) transport_->socket().ResetOnClose();
  transport_.reset();
  output_.Clear();
  ConnectionCounters& counters = owner_.counters();
  if (told_open_) {
    counters.closed.Increment();
    if (!why.ok()) counters.closed_on_error.Increment();
    handler_->OnClose(*this, why);
  } else {
    LOG_EVERY_N_SEC(WARNING, 1) << "connection of " << peer_ << " failed to open: " << why;
    counters.failed_to_open.Increment();
  }
  owner_.OnConnectionEnd(*this, told_open_ ? absl::OkStatus() : why);
}

void TcpConnection::TellDrain() {
  if (state_ != State::kOpen || failing_) return;
  ++in_handler_;
  handler_->OnDrain(*this);
  --in_handler_;
  SettleLater();
}

void TcpConnection::PauseReading() {
  CHECK_LT(pauses_, std::numeric_limits<uint16_t>::max());
  if (pauses_++ == 0) SettleLater();
}

void TcpConnection::ResumeReading() {
  CHECK_GT(pauses_, 0) << "ResumeReading() without PauseReading()";
  if (--pauses_ > 0 || closed()) return;
  ReadAgain();
  SettleLater();
}

// Reading goes on: with what is unread, and with time that counts from now.
void TcpConnection::ReadAgain() {
  offer_again_ = true;
  last_read_ = loop().now();
  if (read_timeout_ms_ != 0) EnsureTimer();
}

void TcpConnection::CloseWrite() {
  if (state_ != State::kOpen) return;
  ends_write_ = true;
  SettleLater();
}

void TcpConnection::CloseAfterFlush() {
  if (state_ != State::kOpen) return;
  state_ = State::kFlushing;
  SettleLater();
}

inline bool TcpConnection::wants_input() const {
  if (peer_ended_ || failing_) return false;
  // Else it is the handshake, or waiting for the peer's end.
  return state_ != State::kOpen || !holds_back();
}

inline bool TcpConnection::must_offer() const {
  return offer_again_ && !input_.empty() && state_ == State::kOpen && !holds_back() && !failing_;
}

// The usual end of a message: all was written, and nothing else is to be done.
inline bool TcpConnection::settled() const {
  const bool anything_asked = failing_ | above_high_ | tell_writable_ | output_blocked_ |
                              ends_write_ | peer_ended_ | (pauses_ > 0);
  return !anything_asked && state_ == State::kOpen && interest_ == read_needs_ && output_.empty() &&
         !must_offer();
}

void TcpConnection::UpdateInterest() {
  Io interest = Io::kNone;
  if (wants_input()) interest |= read_needs_;
  if (output_blocked_) interest |= write_needs_;
  if (interest == interest_) return;
  const absl::Status status = registration_.SetInterest(interest);
  if (!status.ok()) return Finish(status);
  interest_ = interest;
}

// Why its time is over, if it is; else `next` is when to look again.
absl::Status TcpConnection::CheckDeadlines(MonotonicTime& next) {
  next = MonotonicTime::InfiniteFuture();
  const auto passed = [&](MonotonicTime since, uint32_t timeout_ms) LOOP_ONLY {
    const MonotonicTime deadline = After(since, timeout_ms);
    if (deadline > loop().now()) next = std::min(next, deadline);
    return deadline <= loop().now();
  };
  const auto error = [](absl::string_view what, uint32_t timeout_ms) {
    return absl::DeadlineExceededError(
        absl::StrCat(what, absl::FormatDuration(absl::Milliseconds(timeout_ms))));
  };
  if (state_ == State::kHandshaking) {
    const uint32_t limit = owner_.timeouts().handshake_ms;
    return passed(last_read_, limit) ? error("no handshake for ", limit) : absl::OkStatus();
  }
  if (state_ == State::kLingering) {
    const uint32_t limit = owner_.timeouts().linger_ms;
    return passed(last_write_, limit) ? error("the peer kept its end open for ", limit)
                                      : absl::OkStatus();
  }
  if (output_blocked_ && passed(last_write_, write_timeout_ms_)) {
    return error("the peer took no output for ", write_timeout_ms_);
  }
  if (state_ == State::kOpen && wants_input() && passed(last_read_, read_timeout_ms_)) {
    return error("no input for ", read_timeout_ms_);
  }
  return passed(IdleSince(), idle_timeout_ms_) ? error("idle for ", idle_timeout_ms_)
                                               : absl::OkStatus();
}

// Called when a deadline begins or comes nearer. That they move away with each message needs
// nothing: the timer finds out when it fires, so a message costs two stores and no timer.
void TcpConnection::EnsureTimer() {
  MonotonicTime next;
  if (!CheckDeadlines(next).ok()) next = loop().now();
  if (!armed() || next < deadline()) loop().timers().ArmAt(*this, next);
}

void TcpConnection::OnTimer() {
  MonotonicTime next;
  absl::Status status = CheckDeadlines(next);
  if (status.ok()) return loop().timers().ArmAt(*this, next);
  Fail(std::move(status));
  Settle();
}

void TcpConnection::SetIdleTimeout(absl::Duration timeout) {
  idle_timeout_ms_ = ConnectionTimeouts::ToMilliseconds(timeout);
  // Idleness is both; but output that waits must not be put off by this.
  (output_blocked_ ? last_read_ : last_write_) = loop().now();
  if (!closed()) EnsureTimer();
}

void TcpConnection::SetReadTimeout(absl::Duration timeout) {
  read_timeout_ms_ = ConnectionTimeouts::ToMilliseconds(timeout);
  last_read_ = loop().now();
  if (!closed()) EnsureTimer();
}

void TcpConnection::SetWriteTimeout(absl::Duration timeout) {
  write_timeout_ms_ = ConnectionTimeouts::ToMilliseconds(timeout);
  last_write_ = loop().now();
  if (!closed()) EnsureTimer();
}

namespace {
absl::Status ClosedError() { return absl::FailedPreconditionError("the connection is closed"); }
}  // namespace

absl::Status TcpConnection::SetNoDelay(bool on) {
  return closed() ? ClosedError() : transport_->socket().SetNoDelay(on);
}

absl::Status TcpConnection::SetKeepAlive(const KeepAlive& keep_alive) {
  return closed() ? ClosedError() : transport_->socket().SetKeepAlive(keep_alive);
}

absl::StatusOr<tcp_info> TcpConnection::GetTcpInfo() {
  if (closed()) return ClosedError();
  return transport_->socket().TcpInfo();
}

absl::StatusOr<SocketAddress> TcpConnection::local_address() {
  if (closed()) return ClosedError();
  return transport_->socket().LocalAddress();
}

}  // namespace millrace
