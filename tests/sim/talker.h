// SPDX-License-Identifier: Apache-2.0
//
// Talker is a ConnectionHandler of a soak, at either end of a connection. A client's sends its
// bytes and ends; a server's sends back what comes, or bytes of its own. By the way it does all
// that a handler may do, as the world's Habits say, and checks all that it is promised: each byte,
// each call, each bound, each reason. Owned by its connection; its loop's only.
//
//   TcpServer::Options options = {.handler = [&] {
//     return std::make_unique<Talker>(world, host, Side::kServer, /*echo=*/true);
//   }};

#ifndef MILLRACE_TESTS_SIM_TALKER_H_
#define MILLRACE_TESTS_SIM_TALKER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/buffer.h"
#include "net/connection_handle.h"
#include "net/connection_handler.h"
#include "net/tcp_connection.h"
#include "net/timer_wheel.h"
#include "tests/sim/line.h"
#include "tests/sim/world.h"

namespace millrace {

class Talker final : public ConnectionHandler {
 public:
  Talker(World& world, Owner& owner, Side side, bool echo);
  ~Talker() override;

  void OnOpen(TcpConnection& conn) override;
  void OnData(TcpConnection& conn, Buffer& input) override;
  void OnWritable(TcpConnection& conn) override;
  void OnEndOfInput(TcpConnection& conn, Buffer& rest) override;
  void OnDrain(TcpConnection& conn) override;
  void OnClose(TcpConnection& conn, const absl::Status& why) override;

 private:
  Line::End& mine() { return line_->end(side_); }
  Line::End& theirs() { return line_->other(side_); }
  bool sends_back() const { return echo_ && side_ == Side::kServer; }

  void CheckCall(absl::string_view call);
  // Takes `size` bytes of the input, and answers them if that is its work.
  void Take(TcpConnection& conn, Buffer& input, size_t size);
  bool MaySend(TcpConnection& conn) const;
  bool SendSome(TcpConnection& conn, size_t size);
  bool SendOneWay(TcpConnection& conn, std::string bytes);
  bool SendFile(TcpConnection& conn, absl::string_view bytes);
  // Sends what there is room for, and ends when that was all.
  void Pump(TcpConnection& conn);
  void EndIfDone(TcpConnection& conn);
  void Leave(TcpConnection& conn);

  // Does something by the way, perhaps. False if the connection is closed after that.
  bool Act(TcpConnection& conn);
  void ActOnReading(TcpConnection& conn);
  void ActOnEnding(TcpConnection& conn);
  void ActOnTimeouts(TcpConnection& conn);
  void PostSomething(TcpConnection& conn);
  void ResumeAll(TcpConnection& conn);
  void OnTimer();

  World& world_;
  Owner& owner_;
  const Side side_;
  const bool echo_;
  const uint64_t bytes_;  // That it sends of its own.
  Line* line_ = nullptr;  // Once open.
  TcpConnection* conn_ = nullptr;
  ConnectionHandle handle_;
  std::unique_ptr<Timer> timer_;
  int pauses_ = 0;
  uint64_t file_bytes_ = 0;  // Sent from files, which may wait beyond the bounds.
  bool write_ended_ = false;
  bool full_ = false;  // To send more must wait.
  bool deaf_ = false;  // Takes nothing.
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SIM_TALKER_H_
