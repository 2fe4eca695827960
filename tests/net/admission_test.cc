// SPDX-License-Identifier: Apache-2.0
#include "net/admission.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/limits.h"
#include "net/socket_address.h"
#include "tests/support/fake_clock.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using Hold = Admission::Hold;
using Refusal = Admission::Refusal;

class AdmissionTest : public ::testing::Test {
 protected:
  void Make(AdmissionOptions options, int connections_max = 100) {
    ASSERT_TRUE(options.Check().ok()) << options.Check();
    admission_.emplace(std::move(options), connections_max, /*listeners=*/2);
  }
  static SocketAddress Peer(absl::string_view ip) {
    const bool is_ipv6 = ip.find(':') != ip.npos;
    return SocketAddress::Parse(is_ipv6 ? absl::StrCat("[", ip, "]:7") : absl::StrCat(ip, ":7"))
        .value();
  }
  static SocketAddress Stranger(int number) { return Peer(absl::StrCat("192.0.2.", number)); }
  static std::vector<AddressPrefix> Prefixes(absl::string_view list) {
    return AddressPrefix::ParseList(list).value();
  }

  Refusal Enter(const SocketAddress& peer, uint16_t listener = 0) {
    return admission_->Enter(peer, listener, clock_.Now()).refusal;
  }
  bool Enters(absl::string_view ip) { return Enter(Peer(ip)) == Refusal::kNone; }
  int EnterMany(const SocketAddress& peer, int count) {
    int entered = 0;
    for (int i = 0; i < count; ++i) entered += Enter(peer) == Refusal::kNone;
    return entered;
  }
  Hold HoldsBack(uint16_t listener = 0) { return admission_->HoldsBack(listener, clock_.Now()); }

  FakeClock clock_;
  std::optional<Admission> admission_;
};

// Lists.

TEST_F(AdmissionTest, WithoutListsAllMayCome) {
  Make({});
  EXPECT_TRUE(Enters("203.0.113.9"));
  EXPECT_TRUE(Enters("2001:db8::1"));
}

TEST_F(AdmissionTest, WhoIsDeniedIsRefused) {
  Make({.deny = Prefixes("10.0.0.0/8,2001:db8::/32")});
  EXPECT_EQ(Enter(Peer("10.1.2.3")), Refusal::kDenied);
  EXPECT_EQ(Enter(Peer("2001:db8::1")), Refusal::kDenied);
  EXPECT_TRUE(Enters("11.0.0.0"));
  EXPECT_EQ(admission_->open(), 1);
}

TEST_F(AdmissionTest, AnAllowListRefusesAllOthers) {
  Make({.allow = Prefixes("10.0.0.0/8")});
  EXPECT_TRUE(Enters("10.1.2.3"));
  EXPECT_EQ(Enter(Peer("11.0.0.0")), Refusal::kDenied);
  EXPECT_EQ(Enter(Peer("2001:db8::1")), Refusal::kDenied);
}

TEST_F(AdmissionTest, DenyBeatsAllow) {
  Make({.allow = Prefixes("10.0.0.0/8"), .deny = Prefixes("10.6.0.0/16")});
  EXPECT_TRUE(Enters("10.5.0.1"));
  EXPECT_FALSE(Enters("10.6.0.1"));
}

TEST_F(AdmissionTest, ListsAreNotForUnixPeers) {
  Make({.allow = Prefixes("10.0.0.0/8"), .deny = Prefixes("0.0.0.0/0,::/0")});
  EXPECT_EQ(Enter(SocketAddress::Unix("@peer")), Refusal::kNone);
}

TEST_F(AdmissionTest, TheLogLearnsWhichPrefix) {
  Make({.allow = Prefixes("10.0.0.0/8"), .deny = Prefixes("10.6.0.0/16")});
  EXPECT_EQ(admission_->Explain(Refusal::kDenied, Peer("10.6.0.1")), "10.6.0.0/16 is denied");
  EXPECT_THAT(admission_->Explain(Refusal::kDenied, Peer("11.0.0.1")), HasSubstr("not among"));
}

// Peers.

TEST_F(AdmissionTest, ByDefaultOnePeerMayHaveHalfOfThePlaces) {
  Make({}, 100);
  EXPECT_EQ(EnterMany(Stranger(1), 60), 50);
  EXPECT_EQ(Enter(Stranger(1)), Refusal::kPeerFull);
  EXPECT_EQ(Enter(Stranger(2)), Refusal::kNone);
}

TEST_F(AdmissionTest, ByDefaultPeersOfThisMachineAreNotCounted) {
  Make({}, 10);
  EXPECT_EQ(EnterMany(SocketAddress::Loopback(7), 5), 5);
  EXPECT_EQ(EnterMany(SocketAddress::Unix("@peer"), 5), 5);
  EXPECT_EQ(admission_->peers_counted(), 0u);
}

TEST_F(AdmissionTest, ByAnExplicitCapTheyAre) {
  Make({.connections_per_peer_max = 2}, 100);
  EXPECT_EQ(EnterMany(SocketAddress::Loopback(7), 5), 2);
  EXPECT_EQ(EnterMany(Peer("::1"), 5), 2);
  EXPECT_EQ(EnterMany(SocketAddress::Unix("@peer"), 5), 2);
  EXPECT_EQ(Enter(SocketAddress::Unix("@other")), Refusal::kPeerFull) << "they are one peer";
}

TEST_F(AdmissionTest, ACapAsHighAsTheServersCountsNobody) {
  Make({.connections_per_peer_max = 100}, 100);
  EXPECT_EQ(EnterMany(Stranger(1), 100), 100);
  EXPECT_EQ(admission_->peers_counted(), 0u);
}

TEST_F(AdmissionTest, ASingleIpv6PeerIsA64) {
  Make({.connections_per_peer_max = 1});
  EXPECT_TRUE(Enters("2001:db8::1"));
  EXPECT_FALSE(Enters("2001:db8::ffff:1"));
  EXPECT_TRUE(Enters("2001:db8:0:1::1"));
  EXPECT_TRUE(Enters("192.0.2.1"));
  EXPECT_TRUE(Enters("192.0.2.2"));
}

TEST_F(AdmissionTest, WhatIsOnePeerCanBeChosen) {
  Make({.connections_per_peer_max = 1, .peer_ipv4_bits = 24, .peer_ipv6_bits = 128});
  EXPECT_TRUE(Enters("192.0.2.1"));
  EXPECT_FALSE(Enters("192.0.2.2"));
  EXPECT_TRUE(Enters("2001:db8::1"));
  EXPECT_TRUE(Enters("2001:db8::2"));
  EXPECT_THAT(admission_->Explain(Refusal::kPeerFull, Stranger(2)),
              HasSubstr("192.0.2.0/24 has 1"));
}

TEST_F(AdmissionTest, PeersThatLeaveMakeRoomAndLeaveNoTrace) {
  Make({.connections_per_peer_max = 1});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Enter(Stranger(1)), Refusal::kNone);
    EXPECT_EQ(Enter(Stranger(1)), Refusal::kPeerFull);
    EXPECT_EQ(admission_->peers_counted(), 1u);
    EXPECT_FALSE(admission_->Leave(Stranger(1), 0).any());
    EXPECT_EQ(admission_->peers_counted(), 0u);
  }
}

TEST_F(AdmissionTest, WhoIsRefusedTakesNothing) {
  Make({.connections_per_listener_max = 1, .connections_per_peer_max = 50}, 2);
  EXPECT_EQ(Enter(Stranger(1)), Refusal::kNone);
  EXPECT_EQ(Enter(Stranger(2)), Refusal::kFull) << "of the listener";
  EXPECT_EQ(admission_->open(), 1);
  EXPECT_EQ(Enter(Stranger(2), 1), Refusal::kNone);
  EXPECT_EQ(Enter(Stranger(3), 1), Refusal::kFull) << "of the server";
  EXPECT_EQ(admission_->open(), 2);
}

// Places.

TEST_F(AdmissionTest, FullItHoldsAllListenersBack) {
  Make({}, 2);
  EnterMany(SocketAddress::Loopback(7), 1);
  EXPECT_EQ(HoldsBack(), Hold::kNone);
  EnterMany(SocketAddress::Loopback(7), 1);
  EXPECT_EQ(HoldsBack(0), Hold::kFull);
  EXPECT_EQ(HoldsBack(1), Hold::kFull);
  const Admission::Room room = admission_->Leave(SocketAddress::Loopback(7), 0);
  EXPECT_TRUE(room.at_server);
  EXPECT_FALSE(room.at_listener);
  EXPECT_EQ(HoldsBack(), Hold::kNone);
}

TEST_F(AdmissionTest, AFullListenerIsHeldBackAlone) {
  Make({.connections_per_listener_max = 1});
  EXPECT_EQ(Enter(SocketAddress::Loopback(7), 1), Refusal::kNone);
  EXPECT_EQ(HoldsBack(0), Hold::kNone);
  EXPECT_EQ(HoldsBack(1), Hold::kListenerFull);
  const Admission::Room room = admission_->Leave(SocketAddress::Loopback(7), 1);
  EXPECT_FALSE(room.at_server);
  EXPECT_TRUE(room.at_listener);
  EXPECT_EQ(room.listener, 1);
}

TEST_F(AdmissionTest, TheLogLearnsHowManyAreTooManyAndWhenItGoesOn) {
  Make({.connections_per_listener_max = 1}, 64);
  EXPECT_EQ(admission_->Explain(Hold::kFull),
            "the cap of 64 is reached (connections_max); until the number is down to 62");
  EXPECT_EQ(admission_->Explain(Hold::kListenerFull),
            "its own cap of 1 is reached (connections_per_listener_max); until the number is down "
            "to 0");
}

// Found by a restart under load: a connection was accepted on one loop while the drain began on
// another, and reset.
TEST_F(AdmissionTest, OnceItEndsListenersAreHeldBackAndWhoIsAcceptedMayEnter) {
  Make({});
  EXPECT_EQ(HoldsBack(), Hold::kNone);
  admission_->End();
  EXPECT_EQ(Enter(Stranger(1)), Refusal::kNone);
  EXPECT_EQ(HoldsBack(), Hold::kEnding);
  EXPECT_FALSE(admission_->Leave(Stranger(1), 0).any());
  EXPECT_EQ(admission_->open(), 0);
}

// Rate.

TEST_F(AdmissionTest, AboveTheRateListenersRestForMoreThanOneToken) {
  Make({.accepts_per_second = 100, .accept_burst = 50});
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(HoldsBack(), Hold::kNone);
    EnterMany(SocketAddress::Loopback(7), 1);
  }
  EXPECT_EQ(HoldsBack(), Hold::kRate);
  EXPECT_EQ(admission_->RateHoldEnd(clock_.Now()), clock_.Now() + absl::Milliseconds(100));
  clock_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(HoldsBack(), Hold::kNone);
  EXPECT_EQ(EnterMany(SocketAddress::Loopback(7), 10), 10);
  EXPECT_EQ(HoldsBack(), Hold::kRate);
}

TEST_F(AdmissionTest, ASmallBurstIsNotWaitedForWhole) {
  Make({.accepts_per_second = 100, .accept_burst = 4});
  EnterMany(SocketAddress::Loopback(7), 4);
  EXPECT_EQ(admission_->RateHoldEnd(clock_.Now()), clock_.Now() + absl::Milliseconds(20));
}

TEST_F(AdmissionTest, ASlowRateIsWaitedForTokenByToken) {
  Make({.accepts_per_second = 0.5});
  EnterMany(SocketAddress::Loopback(7), 1);
  EXPECT_EQ(HoldsBack(), Hold::kRate);
  const absl::Duration hold = admission_->RateHoldEnd(clock_.Now()) - clock_.Now();
  EXPECT_GT(hold, kAcceptRateRest);
  EXPECT_LE(hold, absl::Seconds(2)) << "tokens come every two seconds";
}

TEST_F(AdmissionTest, WhoIsRefusedTakesNoToken) {
  Make({.connections_per_peer_max = 1,
        .accepts_per_second = 1,
        .accept_burst = 2,
        .deny = Prefixes("10.0.0.0/8")});
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(Enters("10.0.0.1"));
  EXPECT_EQ(EnterMany(Stranger(1), 20), 1);
  EXPECT_EQ(HoldsBack(), Hold::kNone);
  EXPECT_EQ(EnterMany(Stranger(2), 1), 1);
  EXPECT_EQ(HoldsBack(), Hold::kRate);
}

// Options.

TEST(AdmissionOptionsTest, DefaultsAreGood) { EXPECT_TRUE(AdmissionOptions().Check().ok()); }

TEST(AdmissionOptionsTest, ErrorsNameTheField) {
  const struct {
    AdmissionOptions options;
    const char* field;
  } kCases[] = {
      {{.connections_per_listener_max = -1}, "connections_per_listener_max"},
      {{.connections_per_peer_max = -1}, "connections_per_peer_max"},
      {{.peer_ipv4_bits = 33}, "peer_ipv4_bits"},
      {{.peer_ipv4_bits = -1}, "peer_ipv4_bits"},
      {{.peer_ipv6_bits = 129}, "peer_ipv6_bits"},
      {{.peer_ipv6_bits = -1}, "peer_ipv6_bits"},
      {{.accepts_per_second = -1}, "accepts_per_second"},
      {{.accepts_per_second = 1e-9}, "accepts_per_second"},
      {{.accepts_per_second = std::numeric_limits<double>::infinity()}, "accepts_per_second"},
      {{.accepts_per_second = std::numeric_limits<double>::quiet_NaN()}, "accepts_per_second"},
      {{.accept_burst = -1}, "accept_burst"},
  };
  for (const auto& one : kCases) {
    const absl::Status status = one.options.Check();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << one.field;
    EXPECT_THAT(status.message(), HasSubstr(one.field));
  }
}

TEST(AdmissionOptionsTest, BoundsThemselvesAreGood) {
  EXPECT_TRUE((AdmissionOptions{.peer_ipv4_bits = 0, .peer_ipv6_bits = 0}.Check().ok()));
  EXPECT_TRUE((AdmissionOptions{.peer_ipv4_bits = 32, .peer_ipv6_bits = 128}.Check().ok()));
  EXPECT_TRUE((AdmissionOptions{.accepts_per_second = 0.001}.Check().ok()));
}

}  // namespace
}  // namespace millrace
