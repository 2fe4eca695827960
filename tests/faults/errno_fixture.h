// SPDX-License-Identifier: Apache-2.0
//
// ErrnoTest is the fixture of tests/faults/errno_*_test.cc, where each errno that the manual gives
// for a system call has a row in a table, that says what Millrace does then: an echo server on real
// sockets, all on one loop, stepped by hand. After each test another client is served, the loop is
// quiet, no descriptor is left, and the log is short. tests/faults/errno_rows_test.py holds the
// tables to the manual.
//
//   constexpr ErrnoRow kRecvRows[] = {
//       {EINTR, Effect::kGoesOn},
//       {ECONNRESET, Effect::kConnectionEnds},
//   };

#ifndef MILLRACE_TESTS_FAULTS_ERRNO_FIXTURE_H_
#define MILLRACE_TESTS_FAULTS_ERRNO_FIXTURE_H_

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/log_entry.h"
#include "absl/log/log_sink.h"
#include "absl/log/log_sink_registry.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/function_handler.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"
#include "tests/support/process_figures.h"
#include "tests/support/test_loop.h"

namespace millrace {

// What comes of a call that fails with an errno.
enum class Effect {
  kGoesOn,          // It is made again, or waited for: not a byte is lost.
  kConnectionEnds,  // That one connection, whose handler hears the errno.
  kNeverOpens,      // The connection is dropped, and counted in failed_to_open.
  kNextIsTaken,     // Accepting: it was about one peer. It is counted, and the next one accepted.
  kListensAgain,    // Accepting: the socket is made to listen again, and the next one accepted.
  kRests,           // Accepting pauses for kAcceptRetryDelay.
  kStartFails,      // Making the loop or the server, with a status that names the call.
  kConnectFails,    // A client's try, with a status that names the address.
  kIsCounted,       // In wait_errors; the loop goes on.
  kProcessEnds,     // It cannot happen but by a bug: CHECK.
};

struct ErrnoRow {
  int error;
  Effect effect;
};

inline void PrintTo(const ErrnoRow& row, std::ostream* out) { *out << strerrorname_np(row.error); }

// Names the cases of a table: "ECONNRESET".
struct NameOfErrno {
  std::string operator()(const ::testing::TestParamInfo<ErrnoRow>& info) const {
    return strerrorname_np(info.param.error);
  }
};

// Counts what is logged while it lives.
class LogCounter final : public absl::LogSink {
 public:
  LogCounter() { absl::AddLogSink(this); }
  ~LogCounter() override { absl::RemoveLogSink(this); }
  void Send(const absl::LogEntry&) override { ++lines_; }
  int lines() const { return lines_; }

 private:
  std::atomic<int> lines_ = 0;
};

class ErrnoTest : public ::testing::Test {
 protected:
  // What a client may say, and what it is answered.
  static constexpr absl::string_view kEcho = "echo";
  static constexpr absl::string_view kGather = "gather";  // Two pieces.
  static constexpr absl::string_view kFile = "file";
  static constexpr absl::string_view kMuch = "much";    // More than goes out at once.
  static constexpr absl::string_view kPause = "pause";  // Nothing, and nothing more is read.
  static constexpr absl::string_view kQuit = "quit";    // The end.
  static constexpr absl::string_view kAbort = "abort";  // A reset.
  static constexpr size_t kPieceBytes = 3000;
  static constexpr size_t kMuchBytes = size_t{12} << 20;

  void SetUp() override {
    descriptors_before_ = OpenDescriptors();
    loop_.emplace();
    server_ = StartServer().value();
  }

  void TearDown() override {
    if (loop_.has_value()) {
      ExpectServed();
      ExpectQuiet();
      End();
    }
    EXPECT_EQ(OpenDescriptors(), descriptors_before_);
    EXPECT_LE(log_.lines(), kLogLinesMax) << "a log that fills the disk is an attack, too";
  }

  absl::StatusOr<std::unique_ptr<TcpServer>> StartServer(
      SocketAddress address = SocketAddress::Loopback(0)) {
    return TcpServer::Start(
        **loop_, nullptr,
        {.addresses = {std::move(address)},
         .handler = FunctionHandlers(
             {.on_open = [this](TcpConnection& conn) { open_.push_back(&conn); },
              .on_data = [](TcpConnection& conn, Buffer& input) { Answer(conn, input); },
              .on_close =
                  [this](TcpConnection& conn, const absl::Status& why) {
                    std::erase(open_, &conn);
                    closes_.push_back(why);
                    errors_.push_back(conn.close_reason().error);
                  }})});
  }
  // Everything goes, the peers too.
  void End() {
    peers_.clear();
    server_.reset();
    loop_.reset();
  }

  // A client whose connection is open; the newest of open_.
  Peer& Connect() {
    const int64_t before = server_->stats().opened;
    peers_.push_back(std::make_unique<Peer>(Peer::ConnectedTo(server_->addresses()[0])));
    EXPECT_TRUE(loop_->StepUntil([&] { return server_->stats().opened > before; }));
    return *peers_.back();
  }
  int NewestFd() const { return open_.back()->transport()->socket().fd(); }

  // What the client is told, up to `n` bytes.
  std::string Receive(Peer& peer, size_t n) {
    std::string received;
    loop_->StepUntil([&] {
      received += peer.ReceiveSome();
      return received.size() >= n || peer.ended() || peer.was_reset();
    });
    return received;
  }
  bool StepUntilClosed() {
    return loop_->StepUntil([&] { return !closes_.empty(); });
  }

  void ExpectServed(Peer& peer) {
    peer.Send(kEcho);
    EXPECT_EQ(Receive(peer, kEcho.size()), kEcho);
  }
  // A newcomer is.
  void ExpectServed() { ExpectServed(Connect()); }
  // With nothing to do the loop is not woken.
  void ExpectQuiet() {
    loop_->Steps(8);  // What the kernel still had to deliver.
    const int64_t before = (*loop_)->counters().events.value();
    loop_->Steps(50);
    EXPECT_EQ((*loop_)->counters().events.value(), before) << "it must not spin";
  }

  static std::string Gathered() {
    return std::string(kPieceBytes, 'a') + std::string(kPieceBytes, 'b');
  }

  static constexpr int kLogLinesMax = 10;

  LogCounter log_;
  int descriptors_before_ = 0;
  std::vector<TcpConnection*> open_;
  std::vector<absl::Status> closes_;
  std::vector<int> errors_;  // Of each close the errno, or 0.
  std::optional<TestLoop> loop_;
  std::unique_ptr<TcpServer> server_;
  std::vector<std::unique_ptr<Peer>> peers_;

 private:
  static void Answer(TcpConnection& conn, Buffer& input) {
    const std::string said(input.readable());
    if (said == kGather) {
      conn.SendOwned(std::string(kPieceBytes, 'a'));
      conn.SendOwned(std::string(kPieceBytes, 'b'));
    } else if (said == kFile) {
      conn.SendFile(FileOf(kFile), 0, kFile.size());
    } else if (said == kMuch) {
      conn.SendOwned(std::string(kMuchBytes, 'm'));
    } else if (said == kPause) {
      conn.PauseReading();
    } else if (said == kQuit) {
      conn.CloseAfterFlush();
    } else if (said == kAbort) {
      conn.Abort(absl::AbortedError("as asked"));
    } else {
      conn.Send(said);
    }
    input.Clear();
  }

  static UniqueFd FileOf(absl::string_view text) {
    UniqueFd file(memfd_create("errno_test", MFD_CLOEXEC));
    EXPECT_EQ(pwrite(file.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return file;
  }
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_FAULTS_ERRNO_FIXTURE_H_
