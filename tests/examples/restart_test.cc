// SPDX-License-Identifier: Apache-2.0
//
// Restarts of the echo server by --takeover, as its users meet them: processes, sockets, clients.

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/restart/listener_set.h"
#include "net/restart/listener_takeover.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/child_process.h"
#include "tests/support/echo_process.h"
#include "tests/support/peer.h"
#include "tests/support/short_folder.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

constexpr char kSlowSuccessor[] = "tests/examples/slow_successor";

class RestartTest : public ::testing::Test {
 protected:
  std::vector<std::string> Flags(std::vector<std::string> more = {}) {
    more.push_back(absl::StrCat("--takeover=", folder_.Path("next")));
    return more;
  }
  std::string Listen(const SocketAddress& address) { return absl::StrCat("--listen=", address); }

  // Returns when all its threads stand still.
  static void StopForNow(EchoProcess& server) {
    server.process().Signal(SIGSTOP);
    siginfo_t info;
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(server.process().pid()), &info, WSTOPPED), 0);
  }
  // Shuts the server's listener at `address` down: a process that has copies of its sockets can.
  void ShutDown(const SocketAddress& address) {
    ListenerTakeover takeover = ListenerTakeover::From(folder_.Unix("next"), {}).value();
    for (const ListenerSet::Listener& each : takeover.TakeListeners()) {
      if (each.address != address) continue;
      EXPECT_EQ(shutdown(each.socket.fd(), SHUT_RDWR), 0);
    }
  }

  ShortFolder folder_;
};

// Connects, sends, reads its echo and closes, over and over, until it is told to end.
class Client {
 public:
  Client(SocketAddress address, int connections_min)
      : address_(std::move(address)),
        connections_min_(connections_min),
        thread_([this] { Run(); }) {}

  void WaitUntil(int connections) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]()
                            ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return done_ >= connections; };
    mutex_.Await(absl::Condition(&enough));
  }
  // Once, and with it its last connection. Returns how many of how many failed.
  std::pair<int, int> End() {
    WaitUntil(connections_min_);
    {
      absl::MutexLock lock(&mutex_);
      ending_ = true;
    }
    thread_.join();
    absl::MutexLock lock(&mutex_);
    return {failed_, done_};
  }

 private:
  void Run() {
    bool ending = false;
    for (int i = 0; !ending; ++i) {
      const bool echoed = Visit(absl::StrCat("visit ", i));
      absl::MutexLock lock(&mutex_);
      ++done_;
      if (!echoed) ++failed_;
      ending = ending_;
    }
  }
  bool Visit(absl::string_view text) {
    Peer peer = Peer::ConnectedTo(address_);
    peer.Send(text);
    return peer.Receive(text.size()) == text;
  }

  const SocketAddress address_;
  const int connections_min_;
  absl::Mutex mutex_;
  int done_ ABSL_GUARDED_BY(mutex_) = 0, failed_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

void RestartUnderLoad(std::vector<std::string> flags) {
  constexpr int kConnections = 5000;
  constexpr int kRestarts = 3;
  auto server = std::make_unique<EchoProcess>(flags);
  const SocketAddress address = server->NextAddress();
  Client client(address, kConnections);
  for (int i = 1; i <= kRestarts; ++i) {
    client.WaitUntil(i * kConnections / (kRestarts + 1));
    auto next = std::make_unique<EchoProcess>(flags);
    EXPECT_EQ(next->NextAddress(), address);
    server->ExpectEnded();
    server = std::move(next);
  }
  const auto [failed, all] = client.End();
  EXPECT_EQ(failed, 0) << "of " << all;
  EXPECT_GE(all, kConnections);
  server->Stop();
}

TEST_F(RestartTest, NotOneConnectionFailsAcrossThreeRestarts) {
  RestartUnderLoad(Flags({"--listen=127.0.0.1:0", "--threads=2"}));
}

TEST_F(RestartTest, NorWithAWorkerThatAcceptsForItself) {
  RestartUnderLoad(Flags({"--listen=127.0.0.1:0", "--threads=1"}));
}

TEST_F(RestartTest, NorThroughAUnixSocket) {
  RestartUnderLoad(Flags({Listen(folder_.Unix("echo")), "--poller=poll"}));
}

TEST_F(RestartTest, TheOldOneFinishesWhatItHas) {
  EchoProcess old(Flags({"--listen=127.0.0.1:0", "--drain_timeout=inf"}));
  const SocketAddress address = old.NextAddress();
  Peer early = Peer::ConnectedTo(address);
  ExpectEchoes(early, "before");
  EchoProcess next(Flags({Listen(address)}));
  EXPECT_EQ(next.NextAddress(), address);
  ASSERT_TRUE(old.process().WaitForError("draining 1 connection"));
  ExpectEchoes(early, "meanwhile");
  ExpectEchoes(address);
  early.Close();
  old.ExpectEnded();
  ExpectEchoes(address);
  next.Stop();
}

TEST_F(RestartTest, ASignalToTheOldOneLetsItFinishAllTheSame) {
  EchoProcess old(Flags({"--listen=127.0.0.1:0", "--drain_timeout=inf"}));
  const SocketAddress address = old.NextAddress();
  Peer early = Peer::ConnectedTo(address);
  ExpectEchoes(early, "before");
  EchoProcess next(Flags());
  EXPECT_EQ(next.NextAddress(), address);
  ASSERT_TRUE(old.process().WaitForError("draining 1 connection"));
  old.process().Signal(SIGTERM);
  ExpectEchoes(early, "meanwhile");
  early.Close();
  old.ExpectEnded();
  next.Stop();
}

TEST_F(RestartTest, UnixSocketsGoAlongWithTheirFiles) {
  EchoProcess old(Flags({"--listen=127.0.0.1:0", Listen(folder_.Unix("echo"))}));
  const SocketAddress tcp = old.NextAddress(), file = old.NextAddress();
  EchoProcess next(Flags());
  old.ExpectEnded();
  EXPECT_EQ(next.NextAddress(), tcp);
  EXPECT_EQ(next.NextAddress(), file);
  ExpectEchoes(tcp);
  ExpectEchoes(file);
  next.Stop();
  EXPECT_FALSE(folder_.Has("echo"));
  EXPECT_FALSE(folder_.Has("next"));
}

TEST_F(RestartTest, WithListenTheNewOneHasTheseAddressesAndNoOthers) {
  EchoProcess old(Flags({"--listen=127.0.0.1:0,127.0.0.1:0", Listen(folder_.Unix("echo"))}));
  const SocketAddress kept = old.NextAddress(), dropped = old.NextAddress();
  old.NextAddress();
  EchoProcess next(Flags({Listen(folder_.Unix("new")), Listen(kept)}));
  old.ExpectEnded();
  EXPECT_EQ(next.NextAddress(), folder_.Unix("new"));
  EXPECT_EQ(next.NextAddress(), kept);
  ExpectEchoes(folder_.Unix("new"));
  ExpectEchoes(kept);
  EXPECT_TRUE(Socket::CreateFor(dropped)->Bind(dropped).ok()) << "nobody listens any more";
  EXPECT_FALSE(folder_.Has("echo"));
  next.Stop();
}

TEST_F(RestartTest, WithoutAnOldOneItListensByItself) {
  EchoProcess first(Flags({"--listen=127.0.0.1:0"}));
  ExpectEchoes(first.NextAddress());
  EXPECT_TRUE(folder_.Has("next"));
  first.Stop();
  EchoProcess second(Flags({"--listen=127.0.0.1:0"}));
  ExpectEchoes(second.NextAddress());
  second.process().Signal(SIGKILL);
  second.process().Wait();
  EXPECT_TRUE(folder_.Has("next")) << "left by the one that was killed";
  EchoProcess third(Flags({"--listen=127.0.0.1:0"}));
  ExpectEchoes(third.NextAddress());
  third.Stop();
}

// --- What goes wrong ---

TEST_F(RestartTest, TheNewOneIsKilledInTheMiddle) {
  EchoProcess old(Flags({"--listen=127.0.0.1:0", Listen(folder_.Unix("echo"))}));
  const SocketAddress tcp = old.NextAddress(), file = old.NextAddress();
  Client client(tcp, /*connections_min=*/100);
  for (int i = 0; i < 3; ++i) {
    ChildProcess successor({kSlowSuccessor, folder_.Path("next")});
    ASSERT_EQ(successor.ReadLine(), "took 2");
    ExpectEchoes(tcp);
    successor.Signal(SIGKILL);
    EXPECT_TRUE(successor.Wait().killed);
    ExpectEchoes(tcp);
    ExpectEchoes(file);
  }
  EchoProcess next(Flags());
  EXPECT_EQ(next.NextAddress(), tcp);
  EXPECT_EQ(next.NextAddress(), file);
  old.ExpectEnded();
  ExpectEchoes(file);
  EXPECT_EQ(client.End().first, 0);
  next.Stop();
}

TEST_F(RestartTest, TheNewOneIsToldToEndWhileItWaits) {
  EchoProcess old(Flags({"--listen=127.0.0.1:0"}));
  const SocketAddress address = old.NextAddress();
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    StopForNow(old);
    EchoProcess next(Flags());
    ASSERT_TRUE(next.process().WaitForError("waiting for process"));
    next.process().Signal(number);
    const ChildProcess::Result result = next.process().Wait();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr("told to end before it was ready"));
    old.process().Signal(SIGCONT);
    ExpectEchoes(address);
  }
  EchoProcess next(Flags());
  EXPECT_EQ(next.NextAddress(), address);
  old.ExpectEnded();
  next.Stop();
}

TEST_F(RestartTest, TheOldOneIsKilledInTheMiddle) {
  auto old = std::make_unique<EchoProcess>(Flags({"--listen=127.0.0.1:0"}));
  old->NextAddress();
  ChildProcess successor({kSlowSuccessor, folder_.Path("next")});
  ASSERT_EQ(successor.ReadLine(), "took 1");
  old->process().Signal(SIGKILL);
  old->process().Wait();
  // The offer's socket is still open in the successor, which does not answer there.
  successor.Signal(SIGKILL);
  successor.Wait();
  EchoProcess next(Flags({"--listen=127.0.0.1:0"}));
  ExpectEchoes(next.NextAddress());
  next.Stop();
}

TEST_F(RestartTest, TheNewOneCannotHaveAllItsAddressesAndTheOldOneGoesOn) {
  EchoProcess other({"--listen=127.0.0.1:0"});
  const SocketAddress taken = other.NextAddress();
  EchoProcess old(Flags({"--listen=127.0.0.1:0", Listen(folder_.Unix("echo"))}));
  const SocketAddress address = old.NextAddress();
  EXPECT_EQ(old.NextAddress(), folder_.Unix("echo"));
  std::vector<std::string> command = Flags({Listen(address), Listen(taken)});
  command.insert(command.begin(), kEchoProgram);
  const ChildProcess::Result result = RunProgram(command);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr(absl::StrCat("bind ", taken, ": Address already in use")));
  ExpectEchoes(address);
  ExpectEchoes(folder_.Unix("echo"));
  old.Stop();
}

TEST_F(RestartTest, AUnixListenerThatFailedDoesNotGoAlong) {
  EchoProcess old(Flags({"--listen=127.0.0.1:0", Listen(folder_.Unix("echo"))}));
  const SocketAddress tcp = old.NextAddress(), file = old.NextAddress();
  ShutDown(file);
  ASSERT_TRUE(old.process().WaitForError("echo is handed to nobody any more"));
  EXPECT_FALSE(folder_.Has("echo"));
  EchoProcess next(Flags());
  EXPECT_EQ(next.NextAddress(), tcp);
  old.ExpectEnded();
  ExpectEchoes(tcp);
  next.Stop();
}

TEST_F(RestartTest, ATcpListenerThatFailedIsBoundAnewByTheNewOne) {
  EchoProcess old(Flags({"--listen=127.0.0.1:0,127.0.0.1:0"}));
  const SocketAddress sound = old.NextAddress(), failed = old.NextAddress();
  ShutDown(failed);
  ASSERT_TRUE(old.process().WaitForError("and it listens again"));
  ShutDown(failed);  // Twice without a connection between is too much.
  ASSERT_TRUE(old.process().WaitForError("is handed to nobody any more"));
  EchoProcess next(Flags({Listen(sound), Listen(failed)}));
  EXPECT_EQ(next.NextAddress(), sound);
  EXPECT_EQ(next.NextAddress(), failed);
  old.ExpectEnded();
  ExpectEchoes(sound);
  ExpectEchoes(failed);
  next.Stop();
}

TEST_F(RestartTest, APathThatCannotBeIsRefusedInOneLine) {
  ChildProcess::Result result =
      RunProgram({kEchoProgram, absl::StrCat("--takeover=/", std::string(200, 'x'))});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("echo: --takeover=/xxx"));
  result = RunProgram({kEchoProgram, "--listen=127.0.0.1:0", "--takeover=/no/such/folder/next"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("unix:/no/such/folder/next: No such file or directory"));
}

}  // namespace
}  // namespace millrace
