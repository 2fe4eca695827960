// SPDX-License-Identifier: Apache-2.0
//
// The chat server in simulated worlds: its own handler, on two or more loops, and members whose
// lines are slow, cut in pieces, reset or lost. Nothing here takes time, and each run is told by
// its seed; see docs/testing.md.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "base/thread_role.h"
#include "examples/chat/chat_handler.h"
#include "examples/chat/chat_rooms.h"
#include "gtest/gtest.h"
#include "net/drain.h"
#include "net/sim/for_each_seed.h"
#include "net/sim/sim_peer.h"
#include "net/sim/simulation.h"
#include "net/socket_address.h"
#include "net/tcp_server.h"

namespace millrace {
namespace {

// A world with a chat server in it.
struct ChatWorld {
  explicit ChatWorld(Simulation::Options options = {}) : sim(std::move(options)) {
    AssertOnLoop();
    server = TcpServer::Start(sim.main(), &sim.workers(),
                              {.addresses = {SocketAddress::Loopback(7008)},
                               .handler = [this] { return MakeChatHandler(rooms); }})
                 .value();
  }

  // Somebody who is in the lobby, if the world lets it.
  SimPeer Enter() {
    SimPeer peer(sim, server->addresses()[0]);
    while (true) {  // Notices may be before it.
      const std::string line = peer.ReadLine();
      if (line.empty() || absl::StartsWith(line, "* welcome")) return peer;
    }
  }

  ChatRooms rooms;
  Simulation sim;
  std::unique_ptr<TcpServer> server;
  const MonotonicTime started = sim.now();
};

// The next line that is no notice.
std::string Message(SimPeer& peer) {
  std::string line = peer.ReadLine();
  while (absl::StartsWith(line, "* ")) line = peer.ReadLine();
  return line;
}

// Up to the first line that is missing, or not whole.
std::vector<std::string> Messages(SimPeer& peer, size_t count) {
  std::vector<std::string> messages;
  while (messages.size() < count) {
    messages.push_back(Message(peer));
    if (!absl::EndsWith(messages.back(), "\n")) {
      messages.pop_back();
      break;
    }
  }
  return messages;
}

bool IsPrefix(const std::vector<std::string>& some, const std::vector<std::string>& all) {
  return some.size() <= all.size() && std::equal(some.begin(), some.end(), all.begin());
}

TEST(ChatSimTest, TheyTalk) {
  ChatWorld world;
  SimPeer alice = world.Enter();
  SimPeer bob = world.Enter();
  EXPECT_TRUE(alice.Send("/nick alice\nhello\n"));
  EXPECT_EQ(Message(alice), "[lobby] alice: hello\n");
  EXPECT_EQ(Message(bob), "[lobby] alice: hello\n");
  EXPECT_TRUE(bob.Send("hello yourself\n/quit\n"));
  EXPECT_EQ(Message(alice), "[lobby] guest2: hello yourself\n");
  EXPECT_EQ(bob.ReadLine(), "[lobby] guest2: hello yourself\n");
  EXPECT_EQ(bob.ReadToEnd(), "");
  EXPECT_TRUE(bob.ended());
}

// Three who talk at once, five lines each, and what each of them hears.
std::vector<std::vector<std::string>> Talk(const Simulation::Options& options) {
  constexpr int kLines = 5;
  ChatWorld world(options);
  std::vector<SimPeer> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(world.Enter());
  for (int line = 0; line < kLines; ++line) {
    for (size_t i = 0; i < peers.size(); ++i) peers[i].Send(absl::StrCat(i, " says ", line, "\n"));
  }
  std::vector<std::vector<std::string>> heard;
  for (SimPeer& peer : peers) heard.push_back(Messages(peer, kLines * peers.size()));
  return heard;
}

TEST(ChatSimTest, EachLineReachesAllOnceAndInOneOrder) {
  ForEachSeed(200, [](uint64_t seed) {
    const auto heard = Talk(HarmlessWorld(seed));
    EXPECT_EQ(heard[0], heard[1]);
    EXPECT_EQ(heard[0], heard[2]);
    for (int speaker = 0; speaker < 3; ++speaker) {
      std::vector<std::string> expected, said;
      for (int line = 0; line < 5; ++line) {
        expected.push_back(
            absl::StrCat("[lobby] guest", speaker + 1, ": ", speaker, " says ", line, "\n"));
      }
      std::copy_if(heard[0].begin(), heard[0].end(), std::back_inserter(said), [&](const auto& m) {
        return absl::StrContains(m, absl::StrCat(": ", speaker, " says "));
      });
      EXPECT_EQ(said, expected);
    }
  });
}

TEST(ChatSimTest, WhoIsCutOffHasHeardTheBeginningOfTheSame) {
  int cut_off = 0;
  ForEachSeed(200, [&](uint64_t seed) {
    auto heard = Talk(RoughWorld(seed));
    std::sort(heard.begin(), heard.end(),
              [](const auto& a, const auto& b) { return a.size() < b.size(); });
    EXPECT_TRUE(IsPrefix(heard[0], heard[1]));
    EXPECT_TRUE(IsPrefix(heard[1], heard[2]));
    if (heard[0].size() < heard[2].size()) ++cut_off;
  });
  EXPECT_GT(cut_off, 0) << "these worlds are not rough";
}

TEST(ChatSimTest, WhoDoesNotReadIsClosedAndNobodyWaits) {
  ChatWorld world;
  SimPeer sleeper = world.Enter();
  SimPeer alice = world.Enter();
  SimPeer bob = world.Enter();
  const std::string text(4000, 'x');
  for (int i = 0; i < 500; ++i) {  // Some 2 MB.
    ASSERT_TRUE(alice.Send(absl::StrCat(text, "\n")));
    ASSERT_EQ(Message(alice), absl::StrCat("[lobby] guest2: ", text, "\n"));
    ASSERT_EQ(Message(bob), absl::StrCat("[lobby] guest2: ", text, "\n"));
  }
  EXPECT_LT(world.sim.now() - world.started, absl::Seconds(10));
  sleeper.ReadToEnd();
  EXPECT_TRUE(sleeper.broken());
  EXPECT_TRUE(alice.Send("/who\n"));
  EXPECT_EQ(alice.ReadLine(), "* in lobby: guest2, guest3\n");
}

// A line of his would make one for each member.
TEST(ChatSimTest, WhoComesAndGoesAllTheTimeIsNewsAHundredTimesAndTenASecond) {
  ChatWorld world;
  SimPeer alice = world.Enter();
  SimPeer bob = world.Enter();
  constexpr int kMoves = 500;
  for (int i = 0; i < kMoves; ++i) {
    ASSERT_TRUE(bob.Send("/join attic\n/leave\n"));
    while (bob.ReadLine() != "* you are in lobby\n") ASSERT_FALSE(bob.ended());
    EXPECT_EQ(bob.ReadLine(), "* guest2 joined\n") << "he himself is told";
  }
  const double seconds = absl::ToDoubleSeconds(world.sim.now() - world.started);
  EXPECT_TRUE(alice.Send("/who\n"));
  int told = 0, counted = 0;
  const auto hear = [&](absl::string_view line) {
    ASSERT_TRUE(absl::ConsumePrefix(&line, "* ")) << line;
    int more = 0;
    if (absl::SimpleAtoi(line.substr(0, line.find(" more joined, left or took")), &more)) {
      counted += more;
    } else {
      ++told;
    }
  };
  for (std::string line = alice.ReadLine(); line != "* in lobby: guest1, guest2\n";
       line = alice.ReadLine()) {
    ASSERT_NO_FATAL_FAILURE(hear(line));
  }
  EXPECT_LE(told, 101 + 10 * seconds);
  EXPECT_LT(told, kMoves);

  world.sim.RunFor(absl::Seconds(1));
  SimPeer carol = world.Enter();
  for (int i = 0; i < 2; ++i) hear(alice.ReadLine());
  EXPECT_EQ(told + counted, 3 + 2 * kMoves) << "none is forgotten";
}

TEST(ChatSimTest, ADrainSaysGoodbye) {
  ChatWorld world;
  SimPeer alice = world.Enter();
  bool drained = false;
  world.rooms.Close();
  world.server->Drain(absl::Seconds(10), [&](const DrainReport&) { drained = true; });
  EXPECT_EQ(alice.ReadLine(), "* guest1 joined\n");
  EXPECT_EQ(alice.ReadLine(), "* the server is going down\n");
  EXPECT_EQ(alice.ReadToEnd(), "");
  EXPECT_TRUE(alice.ended());
  EXPECT_FALSE(drained) << "alice has not closed";
  alice.Close();
  EXPECT_TRUE(world.sim.RunUntil([&] { return drained; }, absl::Seconds(10)));
}

}  // namespace
}  // namespace millrace
