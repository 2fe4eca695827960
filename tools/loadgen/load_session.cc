// SPDX-License-Identifier: Apache-2.0
#include "tools/loadgen/load_session.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/connection_handler.h"
#include "net/connection_limits.h"
#include "tools/loadgen/error_tally.h"

namespace millrace {
namespace {

// From here on messages are sent without being copied; below, copying is cheaper.
constexpr uint64_t kSharedBytesMin = 16'384;

// A batch of framed messages is put together before it is sent: their lengths are pieces of four
// bytes.
constexpr size_t kBatchBytes = 4096;

// Pieces that the time which unsent messages had waited is told in.
constexpr int64_t kUnsentPieces = 256;

// A client that stopped reading while its own output waits could wait for a server that does the
// same, for ever. So it never does: what is in flight fits below the mark.
ConnectionLimits LimitsFor(const LoadOptions& options) {
  ConnectionLimits limits;
  limits.output_bytes_high = std::max(limits.output_bytes_high, options.bytes_in_flight_max());
  limits.output_bytes_max = std::max(limits.output_bytes_max, limits.output_bytes_high);
  // The run's own end is the bound.
  limits.idle_timeout = limits.write_timeout = absl::InfiniteDuration();
  return limits;
}

}  // namespace

// What the connection knows of the session. It may outlive that by the rest of a turn, and then is
// not called any more.
class LoadSession::Handler final : public ConnectionHandler {
 public:
  explicit Handler(LoadSession& session) : session_(session) {}

 private:
  void OnOpen(TcpConnection& conn) override LOOP_ONLY { session_.OnOpen(conn); }
  void OnData(TcpConnection&, Buffer& input) override LOOP_ONLY { session_.OnData(input); }
  void OnEndOfInput(TcpConnection& conn, Buffer&) override LOOP_ONLY {
    session_.OnEndOfInput();
    conn.CloseAfterFlush();
  }
  void OnClose(TcpConnection&, const absl::Status& why) override LOOP_ONLY {
    session_.OnClose(why);
  }

  LoadSession& session_;
};

LoadSession::LoadSession(EventLoop& loop, const Plan& plan, Owner& owner, int number)
    : loop_(loop),
      plan_(plan),
      owner_(owner),
      number_(number),
      address_(plan.options.addresses[static_cast<size_t>(number) % plan.options.addresses.size()]),
      sent_(plan.options.mode == LoadMode::kEcho ? plan.options.pipeline : 1) {}

LoadSession::~LoadSession() {
  AssertOnLoop();
  Drop();
}

void LoadSession::MakeClient() {
  client_.emplace(loop_, TcpClient::Options{
                             .address = address_,
                             .handler = [this] { return std::make_unique<Handler>(*this); },
                             .limits = LimitsFor(plan_.options),
                             .connect = {.timeout = plan_.options.connect_timeout},
                             .on_connect_failed =
                                 [this](const absl::Status& why) {
                                   AssertOnLoop();
                                   owner_.OnConnectFailed(*this, why);
                                 },
                             .seed = 1,  // It draws nothing; and 0 costs a system call.
                         });
}

void LoadSession::Connect() {
  DCHECK(!connected());
  if (!client_) MakeClient();
  began_ = Now();
  failed_ = sent_end_ = false;
  send_at_ = receive_at_ = plan_.pattern.Start(number_, round_++);
  bytes_in_flight_ = bytes_into_message_ = bytes_received_ = 0;
  oldest_ = messages_in_flight_ = 0;
  client_->Connect();
}

void LoadSession::OnOpen(TcpConnection& conn) {
  conn_ = &conn;
  owner_.OnConnected(*this);
  const MonotonicTime now = Now();
  if (plan_.options.mode == LoadMode::kIdle) return plan_.tally.AddLatency(now - began_);
  if (plan_.tally.over(now)) return SendEnd();
  if (plan_.options.mode == LoadMode::kChurn) SendMessages(1, began_);
}

void LoadSession::Begin() {
  if (plan_.options.mode != LoadMode::kEcho || paced()) return;
  if (connected() && !failed_ && !sent_end_) SendMessages(static_cast<int>(sent_.size()), Now());
}

void LoadSession::OnData(Buffer& input) {
  if (plan_.options.mode == LoadMode::kIdle) return input.Clear();  // A greeting, say.
  if (!CheckBytes(input.readable())) return;
  const uint64_t bytes = input.size();
  input.Clear();
  // One look at the clock serves both those that came and those that go.
  const MonotonicTime now = Now();
  const bool was_full = pipeline_full();
  const int completed = CountMessages(bytes, now);
  const bool goes_on = plan_.options.mode == LoadMode::kEcho && !plan_.tally.over(now);
  if (paced()) {
    if (was_full && completed > 0) room_since_ = now;
    SendDue(now);
  } else if (goes_on) {
    SendMessages(completed, now);
  }
  if (!goes_on && bytes_in_flight_ == 0) SendEnd();
}

// False if they are not what was sent: the connection is given up then.
bool LoadSession::CheckBytes(absl::string_view bytes) {
  const absl::string_view expected = bytes.substr(0, bytes_in_flight_);
  const std::optional<size_t> wrong = plan_.pattern.FindMismatch(receive_at_, expected);
  if (wrong) {
    Fail(kWrongError, WrongByte(bytes[*wrong], *wrong));
  } else if (bytes.size() > bytes_in_flight_) {
    Fail(kWrongError,
         absl::StrCat(bytes.size() - bytes_in_flight_, " bytes more came back than", " were sent"));
  } else {
    return true;
  }
  conn_->Abort(absl::DataLossError("wrong bytes"));
  return false;
}

// `at`: behind what came back before.
std::string LoadSession::WrongByte(char got, size_t at) const {
  const char expected = plan_.pattern.ByteAt(plan_.pattern.Skip(receive_at_, at));
  const uint64_t offset = bytes_received_ + at;
  const auto message_bytes = static_cast<uint64_t>(plan_.options.message_bytes);
  return absl::StrFormat(
      "byte %d of what came back, which is byte %d of message %d, is 0x%02x and not 0x%02x", offset,
      offset % message_bytes, offset / message_bytes, static_cast<uint8_t>(got),
      static_cast<uint8_t>(expected));
}

// Takes `bytes` off what is in flight. Returns how many messages they complete.
int LoadSession::CountMessages(uint64_t bytes, MonotonicTime now) {
  const auto message_bytes = static_cast<uint64_t>(plan_.options.message_bytes);
  receive_at_ = plan_.pattern.Skip(receive_at_, bytes);
  bytes_received_ += bytes;
  bytes_in_flight_ -= bytes;
  bytes_into_message_ += bytes;
  int completed = 0;
  for (; bytes_into_message_ >= message_bytes; bytes_into_message_ -= message_bytes) {
    paced() ? plan_.tally.AddPacedMessage(sent_[oldest_], now)
            : plan_.tally.AddMessage(sent_[oldest_], now);
    if (++oldest_ == sent_.size()) oldest_ = 0;
    ++completed;
  }
  messages_in_flight_ -= static_cast<size_t>(completed);
  return completed;
}

void LoadSession::SendMessages(int count, MonotonicTime since) {
  for (int i = 0; i < count; ++i) NoteSent(since);
  SendBytes(static_cast<uint64_t>(plan_.options.message_bytes) * static_cast<uint64_t>(count));
}

void LoadSession::NoteSent(MonotonicTime since) {
  sent_[(oldest_ + messages_in_flight_) % sent_.size()] = since;
  ++messages_in_flight_;
}

void LoadSession::SendBytes(uint64_t bytes) {
  bytes_in_flight_ += bytes;
  const bool framed = plan_.options.framed;
  // Of frames the cord has two pieces each.
  const uint64_t piece_bytes = framed ? plan_.options.frame_bytes() : bytes;
  if (piece_bytes >= kSharedBytesMin) {
    conn_->Send(plan_.pattern.Bytes(send_at_, bytes));
    send_at_ = plan_.pattern.Skip(send_at_, bytes);
    return;
  }
  if (framed) return SendFrames(bytes);
  while (bytes > 0) {
    const absl::string_view piece = plan_.pattern.Piece(send_at_, bytes);
    conn_->Send(piece);
    send_at_ = plan_.pattern.Skip(send_at_, piece.size());
    bytes -= piece.size();
  }
}

void LoadSession::SendFrames(uint64_t bytes) {
  char batch[kBatchBytes];
  while (bytes > 0) {
    const size_t part = std::min<uint64_t>(bytes, kBatchBytes);
    plan_.pattern.Copy(send_at_, {batch, part});
    conn_->Send(absl::string_view(batch, part));
    send_at_ = plan_.pattern.Skip(send_at_, part);
    bytes -= part;
  }
}

void LoadSession::SendDue(MonotonicTime now) {
  if (!schedule_ || !connected() || failed_ || sent_end_ || gave_up_) return;
  uint64_t bytes = 0;
  for (; !pipeline_full(); ++next_) {
    const MonotonicTime due = DueOf(next_);
    if (due > now || plan_.tally.over(due)) break;
    NoteSent(due);
    plan_.tally.AddPacedSend(due, now - std::max(due, room_since_), now);
    bytes += static_cast<uint64_t>(plan_.options.message_bytes);
  }
  if (bytes > 0) SendBytes(bytes);
}

int64_t LoadSession::CountBefore(MonotonicTime time) const {
  const int64_t connections = plan_.options.connections;
  const int64_t of_all = schedule_->CountBefore(time);
  return std::max<int64_t>(0, (of_all - number_ + connections - 1) / connections);
}

// There may be millions of them, so not each is counted by itself.
void LoadSession::GiveUpUnsent() {
  if (!connected() || failed_ || std::exchange(gave_up_, true)) return;
  const MonotonicTime now = Now();
  const int64_t last = CountBefore(plan_.tally.end());
  int64_t first = std::max(next_, CountBefore(plan_.tally.begin()));
  const int64_t piece = std::max<int64_t>(1, (last - first) / kUnsentPieces);
  for (; first < last; first += piece) {
    plan_.tally.AddUnsent(DueOf(first), now, std::min(piece, last - first));
  }
}

// A server that has sent all of it back answers by its own end; what it sends besides is wrong.
void LoadSession::SendEnd() {
  sent_end_ = true;
  conn_->CloseWrite();
}

void LoadSession::OnEndOfInput() {
  if (bytes_in_flight_ > 0) {
    Fail(kClosedError,
         absl::StrCat("the server closed while ", bytes_in_flight_, " bytes were to come back"));
  } else if (!sent_end_) {
    Fail(kClosedError, "the server closed");
  }
}

void LoadSession::OnClose(const absl::Status& why) {
  conn_ = nullptr;
  if (dropping_) return;
  if (!why.ok()) Fail(absl::IsDeadlineExceeded(why) ? kTimeoutError : kBrokenError, why.message());
  owner_.OnEnded(*this);
}

void LoadSession::Finish() {
  SendDue(Now());
  if (bytes_in_flight_ == 0 && !sent_end_ && !failed_) SendEnd();
}

void LoadSession::TimeOut() {
  if (bytes_in_flight_ > 0) {
    Fail(kTimeoutError, absl::StrCat(bytes_in_flight_, " bytes have not come back"));
  } else {
    Fail(kTimeoutError, "the server did not close after our end");
  }
}

void LoadSession::Drop() {
  dropping_ = true;
  client_.reset();
  dropping_ = false;
}

// The first error of a connection is the cause of the others.
void LoadSession::Fail(absl::string_view kind, absl::string_view reason) {
  if (failed_) return;
  failed_ = true;
  plan_.tally.AddError(kind, Now(),
                       absl::StrCat("connection ", number_, " to ", address_, ": ", reason));
}

}  // namespace millrace
