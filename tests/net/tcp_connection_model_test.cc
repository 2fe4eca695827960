// SPDX-License-Identifier: Apache-2.0
//
// Anything in any order over a narrow line on which system calls fall short, with each poller,
// against two strings: what the peer sent and what the handler took, what was sent and what the
// peer got.
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/epoll_poller.h"
#include "net/poll_poller.h"
#include "net/poller.h"
#include "net/select_poller.h"
#include "net/tcp_connection.h"
#include "tests/support/connection_test.h"
#include "tests/support/fault_injection.h"

namespace millrace {
namespace {

absl::StatusOr<std::unique_ptr<Poller>> (*const kPollers[])() = {MakeEpollPoller, MakePollPoller,
                                                                 MakeSelectPoller};

class TcpConnectionModelTest : public ConnectionTest, public ::testing::WithParamInterface<int> {
 protected:
  TcpConnectionModelTest() : ConnectionTest({.poller = kPollers[GetParam() % 3]}) {
    limits_.output_bytes_low = 1 + Below(3'000);
    limits_.output_bytes_high = limits_.output_bytes_low + Below(20'000);
    limits_.output_bytes_max = 10'000'000;
    limits_.read_bytes_per_turn = 1 + Below(5'000);
    log_.on_data = [this](TcpConnection& conn, Buffer& input) { OnData(conn, input); };
    log_.on_writable = [this](TcpConnection& conn) {
      EXPECT_LE(conn.output_bytes(), limits_.output_bytes_low);
      if (Below(2) == 0) SendSomething(conn);
    };
    log_.on_end = [this](TcpConnection& conn, Buffer& rest) {
      taken_ += rest.ReadString(rest.size());
      SendSomething(conn);
      conn.CloseAfterFlush();
    };
  }

  uint64_t Below(uint64_t n) { return random_.Below(n); }
  std::string Bytes() {
    const size_t size = Below(4) == 0 ? Below(8'000) : Below(100);
    return Pattern(size, static_cast<uint32_t>(random_.Next()));
  }

  void OnData(TcpConnection& conn, Buffer& input) {
    EXPECT_EQ(pauses_, 0) << "offered while paused";
    if (Below(6) == 0) {
      SendInput(conn, input);
    } else {
      taken_ += input.ReadString(Below(8) == 0 ? Below(input.size() + 1) : input.size());
    }
    for (uint64_t n = Below(3); n > 0; --n) SendSomething(conn);
    if (Below(8) == 0) Pause(conn);
    if (Below(12) == 0) Resume(conn);
  }

  void SendInput(TcpConnection& conn, Buffer& input) {
    if (conn.output_bytes() > 100'000) return;
    taken_ += input.readable();
    expected_ += input.readable();
    conn.Send(std::move(input));
  }

  void SendSomething(TcpConnection& conn) {
    if (conn.output_bytes() > 100'000) return;
    std::string bytes = Bytes();
    expected_ += bytes;
    switch (Below(5)) {
      case 0:
        return (void)conn.Send(bytes);
      case 1:
        return (void)conn.SendOwned(std::move(bytes));
      case 2:
        return (void)conn.Send(absl::Cord(bytes));
      case 3: {
        Buffer buffer;
        buffer.Append(bytes);
        return (void)conn.Send(std::move(buffer));
      }
      default: {
        UniqueFd file(memfd_create("test", MFD_CLOEXEC));
        ASSERT_EQ(write(file.get(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
        return (void)conn.SendFile(std::move(file), 0, bytes.size());
      }
    }
  }

  void Pause(TcpConnection& conn) {
    ++pauses_;
    conn.PauseReading();
  }
  void Resume(TcpConnection& conn) {
    if (pauses_ == 0) return;
    --pauses_;
    conn.ResumeReading();
  }

  // For the next turn, one of our system calls falls short.
  void Hinder() {
    static constexpr Call kCalls[] = {Call::kRecv, Call::kSend, Call::kSendmsg, Call::kSendfile};
    Fault fault = {.times = 1 + static_cast<int>(Below(3)), .fd = fd_};
    const Call call = kCalls[Below(4)];
    switch (Below(4)) {
      case 0:
        return fault_.reset();
      case 1:
        fault.error = EINTR;
        break;
      case 2:
        fault.error = EAGAIN;
        break;
      default:
        fault.short_bytes = 1 + Below(50);
    }
    fault_.emplace(call, fault);
  }

  void PeerDoesSomething(Peer& peer, size_t total) {
    if (sent_.size() < total && Below(3) > 0) {
      const std::string bytes = Bytes();
      sent_ += bytes.substr(0, peer.SendSome(bytes));
    }
    if (Below(3) == 0) received_ += peer.ReceiveSome();
  }

  void WeDoSomething() {
    if (log_.connection == nullptr) return;
    if (Below(10) == 0) SendSomething(conn());
    if (Below(10) == 0) Pause(conn());
    if (Below(3) == 0) Resume(conn());
    if (Below(20) == 0) loop_.clock().Advance(absl::Milliseconds(Below(500)));
  }

  Random random_{static_cast<uint64_t>(GetParam())};
  int fd_ = -1;
  int pauses_ = 0;
  std::optional<ScopedFault> fault_;
  std::string sent_, taken_;         // By the peer, by the handler.
  std::string expected_, received_;  // By the peer.
};

TEST_P(TcpConnectionModelTest, NothingIsLostDoubledOrSwapped) {
  Peer peer = Below(2) == 0 ? OpenNarrow() : Open();
  fd_ = fd();
  constexpr size_t kTotal = 150'000;
  while (sent_.size() < kTotal) {
    Hinder();
    PeerDoesSomething(peer, kTotal);
    WeDoSomething();
    loop_.Step();
    ASSERT_FALSE(log_.closed()) << log_.closes[0];
  }
  peer.CloseWrite();
  EXPECT_TRUE(StepUntil([&] {
    Hinder();
    if (log_.connection != nullptr) Resume(conn());
    received_ += peer.ReceiveSome();
    return peer.ended() || peer.was_reset();
  }));
  EXPECT_TRUE(peer.ended());
  ASSERT_TRUE(StepUntilClosed());
  EXPECT_TRUE(log_.closes[0].ok()) << log_.closes[0];
  EXPECT_TRUE(taken_ == sent_) << taken_.size() << " of " << sent_.size();
  EXPECT_TRUE(received_ == expected_) << received_.size() << " of " << expected_.size();
  EXPECT_EQ(memory().output_pools().blocks.in_use(), 0u);
  EXPECT_EQ(memory().output_pools().pieces.in_use(), 0u);
  EXPECT_EQ(counters_.bytes_written.value(), expected_.size());
  EXPECT_EQ(counters_.bytes_read.value(), sent_.size());
}

INSTANTIATE_TEST_SUITE_P(Seeds, TcpConnectionModelTest, ::testing::Range(1, 41));

}  // namespace
}  // namespace millrace
