// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/terminal/chat_link.h"

#include <algorithm>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/utf8.h"
#include "net/backoff.h"
#include "net/buffer.h"
#include "net/codec/framed_handler.h"
#include "net/codec/line_codec.h"
#include "net/connection_limits.h"

namespace millrace {
namespace {

constexpr size_t kNameBytesMax = 32;
// Far more than our server ever says in a line; another one may list more.
constexpr size_t kServerLineBytesMax = size_t{1} << 20;
// So much may wait to be sent. Well below where a connection stops reading: the server may be
// waiting for us to take its lines before it takes ours, and then nobody would move.
constexpr uint64_t kWaitingBytesMax = size_t{64} << 10;
// How often to look whether some of it is gone.
constexpr absl::Duration kReadyPeriod = absl::Milliseconds(10);
static_assert(kWaitingBytesMax + (size_t{32} << 10) < kOutputBytesHigh);

constexpr absl::string_view kLobby = "lobby";

ConnectionLimits Limits() {
  ConnectionLimits limits;
  limits.input_bytes_max = 2 * kServerLineBytesMax;
  limits.idle_timeout = absl::InfiniteDuration();  // People think before they speak.
  return limits;
}

// InvalidArgument for what no server takes.
absl::Status CheckLine(absl::string_view line) {
  if (line.size() > kChatLineBytesMax) return ChatLineTooLong(line.size());
  if (!IsValidUtf8(line)) return absl::InvalidArgumentError("not valid UTF-8");
  if (absl::StrContains(line, '\n') || absl::EndsWith(line, "\r")) {
    return absl::InvalidArgumentError("a line cannot contain its end");
  }
  return absl::OkStatus();
}

bool IsQuit(absl::string_view line) {
  return absl::StartsWith(line, "/quit") && line.substr(0, line.find(' ')) == "/quit";
}

}  // namespace

bool IsChatName(absl::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
         });
}

absl::Status ChatLineTooLong(size_t bytes) {
  return absl::InvalidArgumentError(absl::StrCat("line too long: ", bytes, " bytes, and at most ",
                                                 kChatLineBytesMax, " can be sent"));
}

class ChatLink::Handler final : public FramedHandler<LineCodec> {
 public:
  explicit Handler(ChatLink& link)
      : FramedHandler(LineCodec({.line_bytes_max = kServerLineBytesMax})), link_(link) {}

 private:
  void OnOpen(TcpConnection& conn) override LOOP_ONLY { link_.OnOpen(conn, *this); }
  void OnMessage(TcpConnection&, const absl::string_view& line) override LOOP_ONLY {
    link_.OnLine(line);
  }
  void OnEndOfInput(TcpConnection& conn, Buffer& rest) override LOOP_ONLY {
    if (!rest.empty()) link_.OnLine(rest.readable());
    conn.CloseAfterFlush();
  }
  void OnClose(TcpConnection&, const absl::Status& why) override LOOP_ONLY { link_.OnClose(why); }

  ChatLink& link_;
};

ChatLink::ChatLink(EventLoop& loop, Options options, ChatListener& listener)
    : listener_(listener),
      wanted_name_(std::move(options.name)),
      wanted_room_(std::move(options.room)),
      ready_timer_(loop.timers(),
                   [this] {
                     AssertOnLoop();
                     LookWhetherReady();
                   }),
      leave_timer_(loop.timers(), [this] {
        AssertOnLoop();
        End(absl::OkStatus());
      }) {
  client_ = std::make_unique<TcpClient>(
      loop, TcpClient::Options{.address = std::move(options.address),
                               .handler = [this] { return std::make_unique<Handler>(*this); },
                               .limits = Limits(),
                               .retry = Backoff::Options{.max = absl::Seconds(10)},
                               .reconnect = true,
                               .on_connect_failed =
                                   [this](const absl::Status& why) {
                                     AssertOnLoop();
                                     OnConnectFailed(why);
                                   }});
}

ChatLink::~ChatLink() {
  state_ = State::kEnded;  // The connection's end is not news to anybody.
}

void ChatLink::Connect() { client_->Connect(); }

bool ChatLink::ready() const {
  return up() && state_ == State::kChatting && conn_->output_bytes() <= kWaitingBytesMax;
}

absl::Status ChatLink::Send(absl::string_view line) {
  const absl::Status status = CheckLine(line);
  if (!status.ok()) return status;
  if (!up() && IsQuit(line)) return Leave(), absl::OkStatus();
  if (!up()) return absl::UnavailableError("not connected");
  if (!ready()) return absl::UnavailableError("the server is not taking what we send");
  SendLine(line);
  if (IsQuit(line)) Leave();
  return absl::OkStatus();
}

void ChatLink::SendLine(absl::string_view line) {
  const absl::Status status = handler_->Send(*conn_, line);
  DCHECK(status.ok()) << status;
  if (!ready()) ready_timer_.Arm(kReadyPeriod);
}

// A connection tells when output falls below its low mark only if it had been above the high one;
// and there it would have stopped reading.
void ChatLink::LookWhetherReady() {
  if (!up() || state_ != State::kChatting) return;
  if (ready()) return listener_.OnReady();
  ready_timer_.Arm(kReadyPeriod);
}

void ChatLink::EndInput() {
  if (state_ != State::kChatting) return;
  CHECK(up());
  state_ = State::kInputEnded;
  conn_->SetReadTimeout(kLastWordsTimeout);
  conn_->CloseWrite();
}

void ChatLink::Leave() {
  if (state_ == State::kLeaving || state_ == State::kEnded) return;
  if (!up()) return End(absl::OkStatus());
  state_ = State::kLeaving;
  leave_timer_.Arm(kLeaveTimeout);
  conn_->CloseWrite();
}

void ChatLink::OnOpen(TcpConnection& conn, Handler& handler) {
  if (state_ == State::kEnded) return conn.Abort(absl::CancelledError("left"));
  conn_ = &conn;
  handler_ = &handler;
  // A server that is gone without a word would never be missed. Should it not work, so be it.
  conn.SetKeepAlive(KeepAlive()).IgnoreError();
  if (!wanted_name_.empty()) SendLine(absl::StrCat("/nick ", wanted_name_));
  if (!wanted_room_.empty() && wanted_room_ != kLobby)
    SendLine(absl::StrCat("/join ", wanted_room_));
  listener_.OnUp(std::exchange(was_up_, true));
}

void ChatLink::OnLine(absl::string_view line) {
  if (state_ == State::kEnded) return;
  if (absl::ConsumePrefix(&line, "* ")) {
    Learn(line);
    line = absl::string_view(line.data() - 2, line.size() + 2);
  }
  listener_.OnLine(line);
}

// Who and where we are. Names are checked, because they go to the prompt.
void ChatLink::Learn(absl::string_view notice) {
  if (absl::ConsumePrefix(&notice, "welcome, ")) {
    const size_t end = notice.find(": you are in ");
    const absl::string_view name = notice.substr(0, end);
    if (end == notice.npos || !IsChatName(name)) return;
    name_ = std::string(name);
    room_ = std::string(kLobby);
    if (wanted_name_.empty()) wanted_name_ = name_;
  } else if (absl::ConsumePrefix(&notice, "you are in ")) {
    if (IsChatName(notice)) wanted_room_ = room_ = std::string(notice);
  } else if (!name_.empty() && absl::ConsumePrefix(&notice, absl::StrCat(name_, " is now "))) {
    if (IsChatName(notice)) wanted_name_ = name_ = std::string(notice);
  }
}

void ChatLink::OnClose(const absl::Status& why) {
  conn_ = nullptr;
  handler_ = nullptr;
  ready_timer_.Cancel();
  switch (state_) {
    case State::kChatting:
      return listener_.OnLost(why.ok() ? absl::UnavailableError("the server closed it") : why);
    case State::kInputEnded:
      return End(why);
    case State::kLeaving:
      return End(absl::OkStatus());
    case State::kEnded:
      return;
  }
}

void ChatLink::OnConnectFailed(const absl::Status& why) {
  if (!was_up_) End(why);
}

void ChatLink::End(const absl::Status& why) {
  if (std::exchange(state_, State::kEnded) == State::kEnded) return;
  leave_timer_.Cancel();
  listener_.OnEnd(why);
}

}  // namespace millrace
