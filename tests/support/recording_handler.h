// SPDX-License-Identifier: Apache-2.0
//
// RecordingHandler writes down what happened to a connection, where the test can read it after the
// connection is gone, and does what the test tells it to at each call.
//
//   ConnectionLog log;
//   log.on_data = [](TcpConnection& conn, Buffer& input) { conn.Send(std::move(input)); };
//   table.Open(std::move(socket), peer, {}, RecordingHandlers(log));
//   EXPECT_THAT(log.events, ElementsAre("open", "data 5", "close OK"));

#ifndef MILLRACE_TESTS_SUPPORT_RECORDING_HANDLER_H_
#define MILLRACE_TESTS_SUPPORT_RECORDING_HANDLER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "net/buffer.h"
#include "net/close_reason.h"
#include "net/connection_handler.h"
#include "net/tcp_connection.h"

namespace millrace {

// Of the connections of one loop. Outlives them.
struct ConnectionLog {
  std::vector<std::string> events;  // "open", "data 5", "writable", "end", "drain", "close OK".
  std::string received;             // All that was offered and consumed.
  std::vector<absl::Status> closes;
  std::vector<CloseReason> reasons;     // The same, with who and why.
  TcpConnection* connection = nullptr;  // The one opened last; null once it is closed.

  std::function<void(TcpConnection&)> on_open, on_writable, on_drain;
  std::function<void(TcpConnection&, Buffer&)> on_data;  // Empty: consumes all.
  std::function<void(TcpConnection&, Buffer&)> on_end;   // Empty: the default, CloseAfterFlush.
  std::function<void(TcpConnection&, const absl::Status&)> on_close;

  bool opened() const { return !events.empty(); }
  bool closed() const { return !closes.empty(); }
};

class RecordingHandler final : public ConnectionHandler {
 public:
  explicit RecordingHandler(ConnectionLog& log) : log_(log) {}

  void OnOpen(TcpConnection& conn) override {
    log_.events.push_back("open");
    log_.connection = &conn;
    if (log_.on_open) log_.on_open(conn);
  }
  void OnData(TcpConnection& conn, Buffer& input) override {
    const std::string before(input.readable());
    log_.events.push_back(absl::StrCat("data ", input.size()));
    log_.on_data ? log_.on_data(conn, input) : input.Clear();
    log_.received += before.substr(0, before.size() - input.size());
  }
  void OnWritable(TcpConnection& conn) override {
    log_.events.push_back("writable");
    if (log_.on_writable) log_.on_writable(conn);
  }
  void OnEndOfInput(TcpConnection& conn, Buffer& rest) override {
    log_.events.push_back("end");
    log_.on_end ? log_.on_end(conn, rest) : ConnectionHandler::OnEndOfInput(conn, rest);
  }
  void OnDrain(TcpConnection& conn) override {
    log_.events.push_back("drain");
    if (log_.on_drain) log_.on_drain(conn);
  }
  void OnClose(TcpConnection& conn, const absl::Status& why) override {
    log_.events.push_back(absl::StrCat("close ", absl::StatusCodeToString(why.code())));
    log_.closes.push_back(why);
    log_.reasons.push_back(conn.close_reason());
    log_.connection = nullptr;
    if (log_.on_close) log_.on_close(conn, why);
  }

 private:
  ConnectionLog& log_;
};

inline HandlerFactory RecordingHandlers(ConnectionLog& log) {
  return [&log] { return std::make_unique<RecordingHandler>(log); };
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_RECORDING_HANDLER_H_
