// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a server when accept4(2) fails: each errno of its manual, those of the network
// that Linux passes on to it, and those that the manual says others may give.
#include <cerrno>

#include "gtest/gtest.h"
#include "net/limits.h"
#include "tests/faults/errno_fixture.h"
#include "tests/support/fault_injection.h"
#include "tests/support/peer.h"

namespace millrace {
namespace {

constexpr ErrnoRow kAccept4Rows[] = {
    {EAGAIN, Effect::kGoesOn},  // Also EWOULDBLOCK.
    {EBADF, Effect::kListensAgain},
    {ECONNABORTED, Effect::kNextIsTaken},
    {EFAULT, Effect::kNextIsTaken},
    {EHOSTDOWN, Effect::kNextIsTaken},
    {EHOSTUNREACH, Effect::kNextIsTaken},
    {EINTR, Effect::kGoesOn},
    {EINVAL, Effect::kListensAgain},
    {EMFILE, Effect::kRests},
    {ENETDOWN, Effect::kNextIsTaken},
    {ENETUNREACH, Effect::kNextIsTaken},
    {ENFILE, Effect::kRests},
    {ENOBUFS, Effect::kRests},
    {ENOMEM, Effect::kRests},
    {ENONET, Effect::kNextIsTaken},
    {ENOPROTOOPT, Effect::kNextIsTaken},
    {ENOSR, Effect::kNextIsTaken},
    {ENOTSOCK, Effect::kListensAgain},
    {EOPNOTSUPP, Effect::kNextIsTaken},
    {EPERM, Effect::kNextIsTaken},
    {EPROTO, Effect::kNextIsTaken},
    {EPROTONOSUPPORT, Effect::kNextIsTaken},
    {ESOCKTNOSUPPORT, Effect::kNextIsTaken},
    {ETIMEDOUT, Effect::kNextIsTaken},
};

class AcceptErrnoTest : public ErrnoTest, public ::testing::WithParamInterface<ErrnoRow> {
 protected:
  void Knock() {
    peers_.push_back(std::make_unique<Peer>(Peer::ConnectedTo(server_->addresses()[0])));
  }
  bool OpensWithinARest(size_t count) {
    for (int i = 0; i < 50 && open_.size() < count; ++i) loop_->Step();
    if (open_.size() < count) loop_->Advance(kAcceptRetryDelay);
    return loop_->StepUntil([&] { return open_.size() >= count; });
  }
};

TEST_P(AcceptErrnoTest, DoesAsItsRowSays) {
  Peer& old = Connect();
  Knock();
  const ScopedFault fault(Call::kAccept4, {.error = GetParam().error, .times = 1});
  loop_->Steps(5);
  EXPECT_TRUE(fault.spent());
  const bool rests = GetParam().effect == Effect::kRests;
  EXPECT_EQ(server_->stats().accept_rests, rests ? 1 : 0);
  EXPECT_EQ(server_->stats().accept_errors, GetParam().effect == Effect::kGoesOn ? 0 : 1);
  EXPECT_EQ(server_->stats().open, rests ? 1 : 2);
  ExpectServed(old);
  loop_->Advance(kAcceptRetryDelay);
  // Out of descriptors it has turned away who was there, so that he need not hang.
  if (server_->stats().refused == 0) {
    EXPECT_TRUE(OpensWithinARest(2));
  } else {
    EXPECT_TRUE(GetParam().error == EMFILE || GetParam().error == ENFILE);
    peers_.back()->ReceiveAll();
    EXPECT_TRUE(peers_.back()->was_reset());
  }
}

// An error that stays costs a bounded number of tries, and not the processor.
TEST_P(AcceptErrnoTest, ThatStaysDoesNotSpin) {
  if (GetParam().effect == Effect::kGoesOn) GTEST_SKIP() << "it cannot stay";
  if (GetParam().effect == Effect::kListensAgain || GetParam().error == EOPNOTSUPP) {
    GTEST_SKIP() << "that ends the listener: see acceptor_test";
  }
  Peer& old = Connect();
  {
    const ScopedFault fault(Call::kAccept4, {.error = GetParam().error});
    Knock();
    loop_->Steps(500);
    EXPECT_LE(fault.hits(), 2 * kAcceptsPerTurnMax);
    EXPECT_EQ(server_->stats().accept_rests, 1);
    ExpectServed(old);
    for (int rest = 1; rest <= 10; ++rest) loop_->Advance(kAcceptRetryDelay), loop_->Steps(100);
    EXPECT_LE(server_->stats().accept_rests, 11);
  }
  EXPECT_TRUE(OpensWithinARest(2));
}

INSTANTIATE_TEST_SUITE_P(Errno, AcceptErrnoTest, ::testing::ValuesIn(kAccept4Rows), NameOfErrno());

}  // namespace
}  // namespace millrace
