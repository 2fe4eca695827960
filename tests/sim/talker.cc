// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/talker.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace millrace {

Talker::Talker(World& world, Owner& owner, Side side, bool echo)
    : world_(world),
      owner_(owner),
      side_(side),
      echo_(echo),
      bytes_(1 + world.Below(world.habits().bytes)),
      deaf_(world.Chance(world.habits().hold_everything)) {
  world_.AddHandler();
}

Talker::~Talker() {
  world_.RemoveHandler();
  if (line_ != nullptr) world_.Expect(mine().closed, "a handler died without OnClose()");
}

void Talker::CheckCall(absl::string_view call) {
  if (owner_.silent) world_.Fail(absl::StrCat(call, " after the end of its server or client"));
  if (line_ == nullptr) return world_.Fail(absl::StrCat(call, " before OnOpen()"));
  if (mine().closed) world_.Fail(absl::StrCat(call, " after OnClose()"));
}

void Talker::OnOpen(TcpConnection& conn) {
  world_.Expect(line_ == nullptr, "OnOpen() twice");
  const auto local = conn.local_address();
  world_.Expect(local.ok(), "an open connection has no address");
  line_ = &world_.LineOf(side_ == Side::kClient ? *local : conn.peer_address(), echo_);
  CheckCall("OnOpen()");
  world_.Expect(!mine().opened, "two connections for one");
  mine().opened = true;
  world_.TellOpened(owner_);
  conn_ = &conn;
  handle_ = conn.handle();
  timer_ = std::make_unique<Timer>(conn.loop().timers(), [this] { OnTimer(); });
  if (Act(conn)) Pump(conn);
}

void Talker::OnData(TcpConnection& conn, Buffer& input) {
  CheckCall("OnData()");
  world_.Expect(pauses_ == 0, "OnData() while it is paused");
  world_.Expect(!input.empty(), "OnData() without any");
  world_.Expect(!mine().heard_end && !mine().left, "OnData() after the end");
  const ConnectionLimits& limits = world_.limits();
  const bool fits = input.size() <= limits.input_bytes_max + limits.read_bytes_per_turn;
  world_.Expect(fits, "more unread input than input_bytes_max");
  if (!Act(conn)) return;
  if (deaf_) return;
  const bool leaves = world_.Chance(world_.habits().leave_unread) &&
                      (!world_.harmless() || input.size() < limits.input_bytes_max / 2);
  Take(conn, input, leaves ? world_.Below(input.size() + 1) : input.size());
  if (Act(conn)) Pump(conn);
}

void Talker::Take(TcpConnection& conn, Buffer& input, size_t size) {
  const absl::string_view bytes = input.readable().substr(0, size);
  const uint64_t key = line_->KeyOf(side_ == Side::kClient ? Side::kServer : Side::kClient);
  world_.Expect(IsPattern(key, mine().received, bytes), "bytes came that were not sent");
  mine().received += size;
  world_.Expect(mine().received <= theirs().sent, "more bytes came than were sent");
  world_.tally().Count("bytes received", static_cast<int64_t>(size));
  const bool whole = size == input.size();
  if (sends_back() && whole && !write_ended_ && conn.open() && world_.Below(2) == 0) {
    mine().sent += size;
    conn.Send(std::move(input));
    return;
  }
  input.Consume(size);
  if (sends_back()) SendSome(conn, size);
}

void Talker::OnWritable(TcpConnection& conn) {
  CheckCall("OnWritable()");
  world_.Expect(!write_ended_ && !mine().left, "OnWritable() for who has ended");
  world_.tally().Count("OnWritable()");
  full_ = false;
  if (Act(conn)) Pump(conn);
}

void Talker::OnEndOfInput(TcpConnection& conn, Buffer& rest) {
  CheckCall("OnEndOfInput()");
  world_.Expect(pauses_ == 0, "OnEndOfInput() while it is paused");
  world_.Expect(!mine().heard_end, "OnEndOfInput() twice");
  mine().heard_end = true;
  Take(conn, rest, rest.size());
  if (mine().received != theirs().sent) {
    world_.Fail(absl::StrCat("the end came after ", mine().received, " of ", theirs().sent,
                             " bytes that were sent"));
  }
  if (!Act(conn)) return;
  Pump(conn);
  EndIfDone(conn);
}

void Talker::OnDrain(TcpConnection& conn) {
  CheckCall("OnDrain()");
  world_.Expect(side_ == Side::kServer, "OnDrain() for a client");
  if (!Act(conn) || world_.Below(2) == 0) return;
  Leave(conn);
}

void Talker::Leave(TcpConnection& conn) {
  mine().left = true;
  if (side_ == Side::kServer) world_.TellLeft(conn.peer_address());
  conn.CloseAfterFlush();
}

void Talker::OnClose(TcpConnection& conn, const absl::Status& why) {
  CheckCall("OnClose()");
  world_.Expect(conn.closed() && !conn.open(), "OnClose() of one that is not closed");
  world_.Expect(!(conn.handle().token() == handle_.token()), "a closed connection has a handle");
  world_.TellClosed(owner_, conn, why);
  mine().closed = true;
  mine().why = why;
  const bool asked_for = mine().heard_end || mine().left;
  world_.Expect(!why.ok() || asked_for, "an orderly end that nobody asked for");
  conn_ = nullptr;
  timer_.reset();
  world_.AddStale(handle_);
  // All of these are legal, and do nothing.
  conn.Send("too late");
  conn.CloseAfterFlush();
  conn.Abort(absl::AbortedError("too late"));
  conn.SetIdleTimeout(absl::Seconds(1));
  handle_.Send(std::string("too late"));
}

bool Talker::MaySend(TcpConnection& conn) const { return conn.open() && !write_ended_; }

// What is sent just when the connection breaks counts as sent: then no end of it is heard.
bool Talker::SendSome(TcpConnection& conn, size_t size) {
  if (!MaySend(conn)) return false;
  std::string bytes = Pattern(line_->KeyOf(side_), mine().sent, size);
  mine().sent += size;
  world_.tally().Count("messages sent");
  const bool room = SendOneWay(conn, std::move(bytes));
  const uint64_t in_memory = world_.limits().output_bytes_max + file_bytes_;
  world_.Expect(conn.output_bytes() <= in_memory, "more unsent output than output_bytes_max");
  full_ = !room;
  return room;
}

bool Talker::SendOneWay(TcpConnection& conn, std::string bytes) {
  if (world_.Chance(world_.habits().send_file)) return SendFile(conn, bytes);
  switch (world_.Below(4)) {
    case 0:
      return conn.Send(bytes);
    case 1:
      return conn.SendOwned(std::move(bytes));
    case 2:
      return conn.Send(absl::Cord(bytes));
    default:
      Buffer buffer;
      buffer.Append(bytes);
      return conn.Send(std::move(buffer));
  }
}

bool Talker::SendFile(TcpConnection& conn, absl::string_view bytes) {
  UniqueFd file(memfd_create("soak", MFD_CLOEXEC));
  PCHECK(file.valid());
  PCHECK(write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  const uint64_t missing = world_.Chance(world_.habits().cut_file) ? 1 + world_.Below(10) : 0;
  mine().sent += missing;
  file_bytes_ += bytes.size() + missing;
  return conn.SendFile(std::move(file), 0, bytes.size() + missing);
}

void Talker::Pump(TcpConnection& conn) {
  if (sends_back()) return EndIfDone(conn);
  for (int i = 0; i < 4 && !full_ && MaySend(conn) && mine().sent < bytes_; ++i) {
    const uint64_t left = bytes_ - mine().sent;
    SendSome(conn, std::min(left, 1 + world_.Below(world_.habits().message_bytes_max)));
  }
  EndIfDone(conn);
  if (!full_ && MaySend(conn) && !timer_->armed())
    timer_->Arm(world_.Within(absl::Milliseconds(5)));
}

void Talker::EndIfDone(TcpConnection& conn) {
  if (!sends_back() && mine().sent < bytes_) return;
  if (mine().heard_end && !mine().left) {
    Leave(conn);
  } else if (side_ == Side::kClient && !write_ended_) {
    write_ended_ = true;
    conn.CloseWrite();
  }
}

bool Talker::Act(TcpConnection& conn) {
  const Habits& habits = world_.habits();
  ActOnReading(conn);
  if (world_.Chance(habits.act_later)) timer_->Arm(world_.Within(absl::Milliseconds(20)));
  if (world_.Chance(habits.post)) PostSomething(conn);
  if (world_.Chance(habits.set_timeout)) ActOnTimeouts(conn);
  ActOnEnding(conn);
  if (world_.Chance(habits.destroy_owner) && owner_.DestroyFromInside(conn.loop())) {
    world_.tally().Count("owner destroyed from inside");
    world_.Expect(mine().closed, "its owner is gone, and a connection is open");
  }
  return !mine().closed;
}

void Talker::ActOnReading(TcpConnection& conn) {
  if (world_.Chance(world_.habits().pause) && pauses_ < 5) {
    ++pauses_;
    conn.PauseReading();
    timer_->Arm(world_.Within(absl::Milliseconds(20)));
  }
  if (pauses_ > 0 && world_.Below(3) == 0) {
    --pauses_;
    conn.ResumeReading();
  }
}

void Talker::ActOnEnding(TcpConnection& conn) {
  const Habits& habits = world_.habits();
  if (world_.Chance(habits.close)) Leave(conn);
  if (world_.Chance(habits.close_write)) {
    write_ended_ = true;
    conn.CloseWrite();
  }
  if (world_.Chance(habits.abort)) conn.Abort(absl::AbortedError("the handler has enough"));
}

void Talker::ActOnTimeouts(TcpConnection& conn) {
  const absl::Duration timeout = absl::Milliseconds(1) + world_.Within(absl::Seconds(3));
  switch (world_.Below(3)) {
    case 0:
      return conn.SetIdleTimeout(timeout);
    case 1:
      return conn.SetReadTimeout(timeout);
    default:
      return conn.SetWriteTimeout(timeout);
  }
}

// Through the handle, as other threads do.
void Talker::PostSomething(TcpConnection& conn) {
  conn.handle().Run([](TcpConnection& later) {
    Talker& talker = later.handler<Talker>();
    talker.CheckCall("a post");
    talker.world_.tally().Count("posts to connections");
    if (talker.Act(later)) talker.Pump(later);
  });
}

void Talker::ResumeAll(TcpConnection& conn) {
  while (pauses_ > 0 && !conn.closed()) {
    --pauses_;
    conn.ResumeReading();
  }
}

void Talker::OnTimer() {
  CheckCall("its timer");
  TcpConnection& conn = *conn_;
  if (!Act(conn)) return;
  if (world_.Below(2) == 0) ResumeAll(conn);
  if (pauses_ > 0) timer_->Arm(world_.Within(absl::Milliseconds(20)));
  Pump(conn);
}

}  // namespace millrace
