// SPDX-License-Identifier: Apache-2.0
//
// Servers that adopt sockets which listen already.

#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/function_handler.h"
#include "net/restart/listener_set.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/support/peer.h"
#include "tests/support/short_folder.h"
#include "tests/support/test_loop.h"

namespace millrace {
namespace {

class TcpServerListenersTest : public ::testing::Test {
 protected:
  // Serves at `listeners` with as many workers, and writes down which loop each connection has.
  void Start(std::vector<Socket> listeners, int workers, TcpServer::Accepting accepting) {
    workers_ = EventLoopThreadPool::Start({.threads = workers}).value();
    server_ =
        TcpServer::Start(*main_, workers_.get(),
                         {.listeners = std::move(listeners),
                          .handler = FunctionHandlers({.on_open =
                                                           [this](TcpConnection&) {
                                                             absl::MutexLock lock(&mutex_);
                                                             loops_.insert(EventLoop::Current());
                                                             ++opened_;
                                                           }}),
                          .accepting = accepting,
                          .on_listener_failed =
                              [this](const TcpServer::ListenerFailure& failure) {
                                failures_.push_back(failure);
                              }})
            .value();
  }
  bool OpenedUntil(int count) {
    return main_.StepUntil([&] {
      absl::MutexLock lock(&mutex_);
      return opened_ >= count;
    });
  }

  ShortFolder folder_;
  TestLoop main_;
  absl::Mutex mutex_;
  std::set<EventLoop*> loops_;
  std::vector<TcpServer::ListenerFailure> failures_;
  int opened_ = 0;
  std::unique_ptr<EventLoopThreadPool> workers_;
  std::unique_ptr<TcpServer> server_;
};

TEST_F(TcpServerListenersTest, EachWorkerGetsOneWhereEachAccepts) {
  std::vector<Socket> listeners;
  for (int i = 0; i < 3; ++i) {
    listeners.push_back(ListenAt(SocketAddress::Loopback(0), {}).value());
  }
  Start(std::move(listeners), 3, TcpServer::Accepting::kOnEachWorker);
  ASSERT_EQ(server_->addresses().size(), 3u);
  std::vector<Peer> peers;
  for (const SocketAddress& address : server_->addresses()) {
    peers.push_back(Peer::ConnectedTo(address));
  }
  ASSERT_TRUE(OpenedUntil(3));
  absl::MutexLock lock(&mutex_);
  EXPECT_EQ(loops_.size(), 3u);
}

TEST_F(TcpServerListenersTest, MoreThanThereAreWorkersAllAccept) {
  std::vector<Socket> listeners;
  for (int i = 0; i < 5; ++i) {
    listeners.push_back(ListenAt(SocketAddress::Loopback(0), {}).value());
  }
  Start(std::move(listeners), 2, TcpServer::Accepting::kOnEachWorker);
  std::vector<Peer> peers;
  for (const SocketAddress& address : server_->addresses()) {
    peers.push_back(Peer::ConnectedTo(address));
  }
  EXPECT_TRUE(OpenedUntil(5));
}

TEST_F(TcpServerListenersTest, FilesOfAdoptedOnesAreLeftToTheirMaker) {
  for (const int workers : {1, 2}) {
    ListenerSet set = ListenerSet::At({folder_.Unix("socket")}, {}, {}).value();
    Start(set.Copies().value(), workers, TcpServer::Accepting::kOnMainLoop);
    server_.reset();
    EXPECT_TRUE(folder_.Has("socket"));
    set.Close();
    EXPECT_FALSE(folder_.Has("socket"));
  }
}

TEST_F(TcpServerListenersTest, FilesOfItsOwnAreRemoved) {
  for (const int workers : {1, 2}) {
    workers_ = EventLoopThreadPool::Start({.threads = workers}).value();
    server_ =
        TcpServer::Start(*main_, workers_.get(),
                         {.addresses = {folder_.Unix("socket")}, .handler = FunctionHandlers({})})
            .value();
    EXPECT_TRUE(folder_.Has("socket"));
    server_.reset();
    EXPECT_FALSE(folder_.Has("socket"));
  }
}

// A Unix socket that was shut down cannot listen again.
TEST_F(TcpServerListenersTest, OneThatWasShutDownIsToldAndTheOthersServe) {
  for (const int workers : {0, 1, 2}) {
    const SocketAddress address = folder_.Unix("socket");
    std::vector<Socket> listeners;
    listeners.push_back(ListenAt(address, {}).value());
    listeners.push_back(ListenAt(SocketAddress::Loopback(0), {}).value());
    const Socket copy(UniqueFd(dup(listeners[0].fd())));
    Start(std::move(listeners), workers, TcpServer::Accepting::kOnMainLoop);
    ASSERT_EQ(shutdown(copy.fd(), SHUT_RDWR), 0);
    ASSERT_TRUE(main_.StepUntil([&] { return !failures_.empty(); }));
    EXPECT_EQ(failures_[0].address, address);
    EXPECT_EQ(failures_[0].listeners_left, 1);
    EXPECT_FALSE(failures_[0].why.ok());
    EXPECT_EQ(server_->stats().listeners_failed, 1);
    Peer peer = Peer::ConnectedTo(server_->addresses()[1]);
    EXPECT_TRUE(main_.StepUntil([&] { return server_->stats().opened == 1; }));
    server_.reset();
    failures_.clear();
    folder_.Remove("socket");
  }
}

}  // namespace
}  // namespace millrace
