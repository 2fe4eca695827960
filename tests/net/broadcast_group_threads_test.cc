// SPDX-License-Identifier: Apache-2.0
//
// Groups whose members live on several loops, with senders on several threads.

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "net/broadcast_group.h"
#include "net/event_loop.h"
#include "net/event_loop_thread_pool.h"
#include "net/socket_address.h"
#include "net/tcp_connection.h"
#include "net/tcp_server.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

// Members of one group, on two loops; those who want to can name them.
class Room {
 public:
  class Guest final : public ConnectionHandler {
   public:
    explicit Guest(Room& room) : room_(room) {}
    void OnOpen(TcpConnection& conn) override {
      membership_ = room_.group.Join(conn.handle());
      EXPECT_TRUE(membership_.active());
      absl::MutexLock lock(&room_.mutex_);
      room_.handles_[absl::StrCat(conn.peer_address())] = conn.handle();
    }
    // Whatever a guest sends goes to all.
    void OnData(TcpConnection&, Buffer& input) override {
      room_.group.Send(absl::Cord(input.ReadString(input.size())));
    }

   private:
    Room& room_;
    BroadcastGroup::Membership membership_;
  };

  void WaitForGuests(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto all_came = [&] { return handles_.size() >= count; };
    mutex_.Await(absl::Condition(&all_came));
  }
  // Of the connections whose other ends these are.
  std::vector<ConnectionHandle> HandlesOf(std::vector<Peer>& peers) {
    absl::MutexLock lock(&mutex_);
    std::vector<ConnectionHandle> handles;
    for (Peer& peer : peers) handles.push_back(handles_[absl::StrCat(peer.local_address())]);
    return handles;
  }

  BroadcastGroup group;

 private:
  absl::Mutex mutex_;
  std::map<std::string, ConnectionHandle> handles_;  // By the other end's address.
};

class BroadcastGroupThreadsTest : public ::testing::Test {
 protected:
  Peer Enter() { return Peer::ConnectedTo(server_->addresses()[0]); }
  std::vector<Peer> Enter(int count) {
    std::vector<Peer> peers;
    for (int i = 0; i < count; ++i) peers.push_back(Enter());
    room_.WaitForGuests(static_cast<size_t>(count));
    return peers;
  }
  template <typename Work>
  static void InThreads(int count, Work work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
  }

  Room room_;
  std::unique_ptr<EventLoop> main_ = EventLoop::Create().value();
  std::unique_ptr<EventLoopThreadPool> workers_ =
      EventLoopThreadPool::Start({.threads = 2}).value();
  std::unique_ptr<TcpServer> server_ =
      TcpServer::Start(*main_, workers_.get(),
                       {.addresses = {SocketAddress::Loopback(0)},
                        .handler = [this] { return std::make_unique<Room::Guest>(room_); }})
          .value();
  // Accepts on the test's behalf, until the end.
  std::thread accepting_{[this] { main_->Run(); }};

  ~BroadcastGroupThreadsTest() override {
    main_->Stop();
    accepting_.join();
    server_.reset();
  }
};

TEST_F(BroadcastGroupThreadsTest, MembersOnAllLoopsSeeOneOrder) {
  constexpr int kSenders = 4, kMessages = 500;
  std::vector<Peer> peers = Enter(8);
  InThreads(kSenders, [&](int sender) {
    for (int i = 0; i < kMessages; ++i) {
      EXPECT_TRUE(room_.group.Send(absl::Cord(absl::StrCat(sender, ":", i, "\n"))));
    }
  });
  std::string bytes;
  for (int sender = 0; sender < kSenders; ++sender) {
    for (int i = 0; i < kMessages; ++i) absl::StrAppend(&bytes, sender, ":", i, "\n");
  }
  const std::string first = peers[0].Receive(bytes.size());
  std::map<std::string, int> next;
  for (const absl::string_view line : absl::StrSplit(first, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, ':');
    EXPECT_EQ(parts.second, absl::StrCat(next[parts.first]++)) << "each sender's own are in order";
  }
  for (int sender = 0; sender < kSenders; ++sender)
    EXPECT_EQ(next[absl::StrCat(sender)], kMessages);
  for (size_t i = 1; i < peers.size(); ++i) {
    EXPECT_EQ(peers[i].Receive(bytes.size()), first) << "member " << i;
  }
}

TEST_F(BroadcastGroupThreadsTest, MembersSendFromTheirOwnLoops) {
  constexpr int kMembers = 6, kRounds = 50;
  std::vector<Peer> peers = Enter(kMembers);
  size_t bytes = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kMembers; ++i) {
      const std::string line = absl::StrCat(i, ":", round, "\n");
      peers[i].Send(line);
      bytes += line.size();
    }
  }
  const std::string first = peers[0].Receive(bytes);
  EXPECT_EQ(first.size(), bytes);
  for (int i = 1; i < kMembers; ++i) EXPECT_EQ(peers[i].Receive(bytes), first) << "member " << i;
}

TEST_F(BroadcastGroupThreadsTest, TenThousandJoinsAndLeavesRaceWithSends) {
  constexpr int kThreads = 2, kJoins = 5000, kStaying = 4, kMessages = 3000;
  std::vector<Peer> peers = Enter(kStaying + 4);
  const std::vector<ConnectionHandle> handles = room_.HandlesOf(peers);
  BroadcastGroup crowd;  // A second one, which the guests come to and go from.
  std::vector<BroadcastGroup::Membership> staying;
  for (int i = 0; i < kStaying; ++i) staying.push_back(crowd.Join(handles[i]));

  std::string all;
  std::thread sender([&] {
    for (int i = 0; i < kMessages; ++i) {
      const std::string line = absl::StrCat(i, "\n");
      EXPECT_TRUE(crowd.Send(absl::Cord(line)));
      all += line;
    }
  });
  InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kJoins; ++i) {
      BroadcastGroup::Membership passing = crowd.Join(handles[kStaying + (thread + i) % 4]);
      EXPECT_TRUE(passing.active());
      if (i % 3 == 0) passing.Leave();
    }
  });
  sender.join();
  EXPECT_EQ(crowd.stats().members, kStaying);
  for (int i = 0; i < kStaying; ++i) EXPECT_EQ(peers[i].Receive(all.size()), all) << "member " << i;
}

TEST_F(BroadcastGroupThreadsTest, MembersThatVanishInMidBroadcastHurtNobody) {
  std::vector<Peer> staying = Enter(2);
  std::vector<Peer> vanishing;
  for (int i = 0; i < 20; ++i) vanishing.push_back(Enter());
  room_.WaitForGuests(22);
  std::string all;
  for (int i = 0; i < 200; ++i) {
    const std::string line = absl::StrCat("line ", i, "\n");
    EXPECT_TRUE(room_.group.Send(absl::Cord(line)));
    all += line;
    if (i % 10 == 5) vanishing[static_cast<size_t>(i / 10)].Reset();
  }
  for (Peer& peer : staying) EXPECT_EQ(peer.Receive(all.size()), all);
}

TEST_F(BroadcastGroupThreadsTest, GroupsComeAndGoWhileTheirMembersStay) {
  std::vector<Peer> peers = Enter(4);
  const std::vector<ConnectionHandle> handles = room_.HandlesOf(peers);
  InThreads(3, [&](int thread) {
    for (int i = 0; i < 300; ++i) {
      BroadcastGroup group;
      std::vector<BroadcastGroup::Membership> members;
      for (const ConnectionHandle& handle : handles) members.push_back(group.Join(handle));
      EXPECT_TRUE(group.Send(absl::Cord(absl::StrCat(thread))));
    }
  });
  for (Peer& peer : peers) EXPECT_EQ(peer.Receive(900).size(), 900u);
}

}  // namespace
}  // namespace millrace
