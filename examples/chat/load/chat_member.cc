// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/load/chat_member.h"

#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "net/connection_handler.h"
#include "net/connection_limits.h"
#include "net/limits.h"
#include "tools/loadgen/error_tally.h"

namespace millrace {
namespace {

// A line: the text, the room's name, the member's, and what stands between.
constexpr size_t kLineBytesMax = 2 * kChatTextBytesMax;

ConnectionLimits Limits() {
  ConnectionLimits limits;
  limits.input_bytes_max = kLineBytesMax;
  // A client that stopped reading while its own output waits could wait for a server that does the
  // same, for ever.
  limits.output_bytes_high = limits.output_bytes_max;
  // The run's own end is the bound.
  limits.idle_timeout = limits.write_timeout = absl::InfiniteDuration();
  return limits;
}

}  // namespace

// What the connection knows of the member. It may outlive that by the rest of a turn, and then is
// not called any more.
class ChatMember::Handler final : public ConnectionHandler {
 public:
  explicit Handler(ChatMember& member) : member_(member) {}

 private:
  void OnOpen(TcpConnection& conn) override LOOP_ONLY { member_.OnOpen(conn); }
  void OnData(TcpConnection&, Buffer& input) override LOOP_ONLY { member_.OnData(input); }
  void OnEndOfInput(TcpConnection&, Buffer&) override LOOP_ONLY {
    member_.Fail(kClosedError, "the server closed");
  }
  void OnClose(TcpConnection&, const absl::Status& why) override LOOP_ONLY { member_.OnClose(why); }

  ChatMember& member_;
};

ChatMember::ChatMember(EventLoop& loop, const ChatLoadOptions& options, ChatTally& tally,
                       Owner& owner, int number)
    : loop_(loop), options_(options), tally_(tally), owner_(owner), number_(number) {}

ChatMember::~ChatMember() {
  AssertOnLoop();
  Drop();
}

void ChatMember::Connect() {
  client_.emplace(loop_,
                  TcpClient::Options{
                      .address = options_.address_of(number_),
                      .handler = [this] { return std::make_unique<Handler>(*this); },
                      .limits = Limits(),
                      .connect = {.timeout = options_.join_timeout},
                      .on_connect_failed =
                          [this](const absl::Status& why) {
                            AssertOnLoop();
                            Fail(absl::IsDeadlineExceeded(why) ? kTimeoutError : kConnectError,
                                 why.message());
                          },
                      .seed = 1,  // It draws nothing; and 0 costs a system call.
                  });
  client_->Connect();
}

void ChatMember::OnOpen(TcpConnection& conn) {
  conn_ = &conn;
  if (state_ == State::kEnded) conn.Abort(absl::CancelledError("given up"));
}

void ChatMember::OnData(Buffer& input) {
  // One look at the clock serves all the lines that came at once.
  const MonotonicTime now = loop_.clock().Now();
  const absl::string_view all = input.readable();
  const char* begin = all.data();
  const char* const end = begin + all.size();
  while (state_ != State::kEnded) {
    const void* const newline = memchr(begin, '\n', static_cast<size_t>(end - begin));
    if (newline == nullptr) break;
    const char* const line_end = static_cast<const char*>(newline);
    OnLine({begin, static_cast<size_t>(line_end - begin)}, now);
    begin = line_end + 1;
  }
  tally_.ShowErrors();
  if (state_ == State::kEnded) return input.Clear();
  input.Consume(static_cast<size_t>(begin - all.data()));
}

void ChatMember::OnLine(absl::string_view line, MonotonicTime now) {
  if (absl::StartsWith(line, "* ")) return OnNotice(line.substr(2));
  if (joined()) return owner_.OnLine(*this, line, now);
  if (absl::StartsWith(line, "! ")) return Fail(kServerError, line);
  // Somebody else's message in a room it passes through.
}

void ChatMember::OnNotice(absl::string_view notice) {
  if (state_ == State::kConnecting && absl::StartsWith(notice, "welcome")) {
    state_ = State::kGreeted;
    conn_->Send(absl::StrCat("/nick ", MemberName(number_), "\n/join ",
                             RoomName(options_.room_of(number_)), "\n"));
  } else if (state_ == State::kGreeted && absl::ConsumeSuffix(&notice, " joined") &&
             notice == MemberName(number_)) {
    state_ = State::kJoined;
    owner_.OnJoined(*this);
  } else {
    tally_.AddNotice();
  }
}

void ChatMember::OnClose(const absl::Status& why) {
  conn_ = nullptr;
  if (why.ok()) return Fail(kClosedError, "the connection ended");
  Fail(absl::IsDeadlineExceeded(why) ? kTimeoutError : kBrokenError, why.message());
}

void ChatMember::Fail(absl::string_view kind, absl::string_view reason) {
  if (state_ == State::kEnded) return;
  const std::string text =
      absl::StrCat(MemberName(number_), " at ", options_.address_of(number_), ": ", reason);
  if (conn_ != nullptr) conn_->Abort(absl::CancelledError("given up"));
  const bool was_joined = joined();
  state_ = State::kEnded;
  owner_.OnFailed(*this, was_joined, kind, text);
}

void ChatMember::Drop() {
  state_ = State::kEnded;
  client_.reset();
}

}  // namespace millrace
