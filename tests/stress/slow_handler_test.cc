// SPDX-License-Identifier: Apache-2.0
//
// Bug list, 8: much input meets a handler that takes little at a time, and leaves much unread. What
// is copied must grow with the input and not with its square. Counted, not timed.
#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "net/buffer.h"
#include "net/limits.h"
#include "net/tcp_connection.h"
#include "tests/stress/stress.h"
#include "tests/support/connection_test.h"

namespace millrace {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kStep = 128;

class SlowHandlerTest : public ConnectionTest {
 protected:
  // Takes in steps, as long as more than `left_max` bytes are there.
  void TakeInSteps(Buffer& input, size_t left_max) {
    // What was left the last time lies elsewhere now: it was copied.
    if (input.data() != left_at_) bytes_copied_ += left_;
    while (input.size() > left_max) {
      const size_t n = std::min(kStep, input.size());
      taken_ += n;
      input.Consume(n);
    }
    left_at_ = input.data();
    left_ = input.size();
  }

  void ExpectLinear(size_t left_max) {
    const size_t total = static_cast<size_t>(Scaled(100)) * kMiB;
    limits_.input_bytes_max = left_max + kReceiveBufferBytes;
    log_.on_data = [&](TcpConnection&, Buffer& input) { TakeInSteps(input, left_max); };
    Peer peer = Open();
    Send(peer, std::string(total, 'x'));
    EXPECT_TRUE(StepUntil([&] { return taken_ + left_ == total; }));
    EXPECT_FALSE(log_.closed());
    EXPECT_LE(bytes_copied_, 2 * total);
  }

  const char* left_at_ = nullptr;
  size_t left_ = 0;
  size_t taken_ = 0;
  size_t bytes_copied_ = 0;
};

TEST_F(SlowHandlerTest, AllInSmallStepsIsLinear) { ExpectLinear(0); }
TEST_F(SlowHandlerTest, AMessageBehindIsLinear) { ExpectLinear(5'000); }
TEST_F(SlowHandlerTest, HalfAMegabyteBehindIsLinear) { ExpectLinear(kMiB / 2); }
TEST_F(SlowHandlerTest, SixteenMegabytesBehindIsLinear) { ExpectLinear(16 * kMiB); }

// One step for each call, and the rest left: it is bounded, and so is what that costs.
TEST_F(SlowHandlerTest, OneStepACallEndsAtTheBound) {
  log_.on_data = [&](TcpConnection&, Buffer& input) {
    if (input.data() != left_at_) bytes_copied_ += left_;
    input.Consume(std::min(kStep, input.size()));
    left_at_ = input.data();
    left_ = input.size();
  };
  Peer peer = Open();
  EXPECT_TRUE(StepUntil([&] {
    peer.SendSome(std::string(kMiB, 'x'));
    return log_.closed();
  }));
  EXPECT_TRUE(absl::IsResourceExhausted(log_.closes[0])) << log_.closes[0];
  EXPECT_LE(bytes_copied_, 4 * kInputBytesMax);
}

}  // namespace
}  // namespace millrace
