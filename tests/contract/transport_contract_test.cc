// SPDX-License-Identifier: Apache-2.0
//
// What every Transport does, whatever it does to the bytes: what TcpConnection relies on. Each
// implementation adds a line at the end.
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/log/check.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/io_result.h"
#include "net/plain_transport.h"
#include "net/socket.h"
#include "net/transport.h"
#include "tests/support/socket_pair.h"

namespace millrace {
namespace {

// What did not fail.
IoResult Ok(const IoResult& result) {
  CHECK(result.ok()) << result;
  return result;
}

// A transport over a connected socket, waited for as a connection does: one readiness, one call.
class End {
 public:
  explicit End(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}

  Transport& transport() { return *transport_; }
  // Negative, which poll(2) passes over, once closed.
  int fd() { return transport_ == nullptr ? -1 : transport_->socket().fd(); }
  // Destroys the transport.
  void Close() { transport_.reset(); }

  IoResult Read(char* into, size_t n) { return transport_->Read({into, n}); }
  IoResult Write(absl::string_view bytes) { return transport_->Write(bytes); }

  bool ReadyWithin(short events, int milliseconds) {
    pollfd fd = {.fd = this->fd(), .events = events, .revents = 0};
    int count;
    do {
      count = poll(&fd, 1, milliseconds);
    } while (count < 0 && errno == EINTR);
    return count == 1;
  }
  bool ReadyFor(IoResult::Kind wanted) {
    return ReadyWithin(wanted == IoResult::kWantRead ? POLLIN : POLLOUT, 0);
  }

 private:
  std::unique_ptr<Transport> transport_;
};

struct Implementation {
  const char* name;
  std::function<std::pair<Socket, Socket>()> sockets;
  bool can_reset;  // Unix sockets close in good order, whatever happens.
  std::function<std::unique_ptr<Transport>(Socket, bool is_server)> make;
};

void PrintTo(const Implementation& implementation, std::ostream* out) {
  *out << implementation.name;
}

std::string Bytes(size_t n) {
  std::string bytes(n, '\0');
  for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<char>(i * 31 + i / 251);
  return bytes;
}

class TransportContractTest : public ::testing::TestWithParam<Implementation> {
 protected:
  TransportContractTest() : TransportContractTest(GetParam().sockets()) {}

  static std::unique_ptr<Transport> Make(Socket socket, bool is_server) {
    return GetParam().make(std::move(socket), is_server);
  }

  // Has both shake hands. The other tests begin with this.
  void Meet() {
    bool ours = false, theirs = false;
    ASSERT_TRUE(Try([&] {
      if (!ours) ours = Shook(ours_);
      if (!theirs) theirs = Shook(theirs_);
      return ours && theirs;
    }));
  }
  static bool Shook(End& end) {
    const IoResult result = Ok(end.transport().Handshake());
    CHECK_NE(result.kind(), IoResult::kEnd);
    return result.kind() == IoResult::kDone;
  }

  // Again and again until it is true, resting while neither end has anything to read.
  bool Try(absl::FunctionRef<bool()> done) {
    for (int i = 0; i < 10'000; ++i) {
      if (done()) return true;
      if (!ours_.ReadyWithin(POLLIN, 0)) theirs_.ReadyWithin(POLLIN, 1);
    }
    return false;
  }

  // All bytes until the end, or until `n` have come; "error" at the end says that it broke.
  std::string ReadAll(End& end, size_t n = SIZE_MAX, size_t per_call = 1 << 16) {
    std::string received;
    std::vector<char> room(per_call);
    Try([&] {
      const IoResult result = end.Read(room.data(), std::min(per_call, n - received.size()));
      if (!result.ok()) received += "error";
      if (!result.ok() || result.kind() == IoResult::kEnd) return true;
      received.append(room.data(), result.bytes());
      return received.size() >= n;
    });
    return received;
  }

  // Writes all from one end while the other reads.
  std::string Carry(End& from, End& to, absl::string_view bytes) {
    std::string received;
    std::vector<char> room(10'000);
    const size_t n = bytes.size();
    Try([&] {
      if (!bytes.empty()) bytes.remove_prefix(Ok(from.Write(bytes)).bytes());
      received.append(room.data(), Ok(to.Read(room.data(), room.size())).bytes());
      return received.size() >= n;
    });
    return received;
  }

  void CloseWrite(End& end) {
    ASSERT_TRUE(Try([&] { return Ok(end.transport().CloseWrite()).kind() == IoResult::kDone; }));
  }

  // Writes until nothing goes. How much did.
  size_t Fill(End& end) {
    const std::string bytes = Bytes(100'000);
    size_t written = 0;
    while (true) {
      const IoResult result = Ok(end.Write(absl::string_view(bytes).substr(written % 100'000)));
      if (result.kind() != IoResult::kDone) {
        EXPECT_FALSE(end.ReadyFor(result.kind())) << "waiting for that would spin";
        return written;
      }
      written += result.bytes();
    }
  }

 private:
  explicit TransportContractTest(std::pair<Socket, Socket> sockets)
      : ours_(Make(std::move(sockets.first), true)),
        theirs_(Make(std::move(sockets.second), false)) {}

 protected:
  End ours_, theirs_;
};

TEST_P(TransportContractTest, BothShakeHands) { Meet(); }

TEST_P(TransportContractTest, AHandshakeThatWaitsSaysForWhat) {
  const IoResult result = Ok(ours_.transport().Handshake());
  if (result.kind() == IoResult::kDone) return;  // It needs nothing from the other.
  EXPECT_FALSE(ours_.ReadyFor(result.kind())) << "waiting for that would spin";
}

TEST_P(TransportContractTest, ThePeerLeavingDuringTheHandshakeEndsIt) {
  theirs_.Close();
  EXPECT_TRUE(Try([&] {
    const IoResult result = ours_.transport().Handshake();
    return !result.ok() || result.kind() == IoResult::kEnd || result.kind() == IoResult::kDone;
  }));
}

TEST_P(TransportContractTest, NothingToReadIsSaid) {
  Meet();
  char byte;
  const IoResult result = ours_.Read(&byte, 1);
  EXPECT_EQ(result, IoResult{IoResult::kWantRead});
  EXPECT_FALSE(ours_.ReadyFor(result.kind())) << "waiting for that would spin";
}

TEST_P(TransportContractTest, BytesArriveInOrderBothWays) {
  Meet();
  EXPECT_EQ(Carry(ours_, theirs_, "hello"), "hello");
  EXPECT_EQ(Carry(theirs_, ours_, "world"), "world");
  const std::string many = Bytes(3'000'000);
  EXPECT_TRUE(Carry(ours_, theirs_, many) == many);
  EXPECT_TRUE(Carry(theirs_, ours_, many) == many);
}

TEST_P(TransportContractTest, BytesComeWithTheirReadiness) {
  Meet();
  ASSERT_EQ(ours_.Write("hello"), (IoResult{IoResult::kDone, 5}));
  ASSERT_TRUE(theirs_.ReadyWithin(POLLIN, 10'000));
  EXPECT_EQ(ReadAll(theirs_, 5), "hello");
}

// A connection reads once for each readiness, and no more than its budget.
TEST_P(TransportContractTest, WhatWasNotReadMakesTheDescriptorReady) {
  Meet();
  const std::string bytes = Bytes(50);
  ASSERT_EQ(ours_.Write(bytes), (IoResult{IoResult::kDone, 50}));
  std::string received;
  while (received.size() < 50) {
    ASSERT_TRUE(theirs_.ReadyWithin(POLLIN, 10'000)) << "after " << received.size();
    char byte;
    received.append(&byte, Ok(theirs_.Read(&byte, 1)).bytes());
  }
  EXPECT_EQ(received, bytes);
}

TEST_P(TransportContractTest, PiecesAreGatheredInOrder) {
  Meet();
  std::vector<std::string> pieces;
  std::vector<iovec> from;
  std::string expected;
  for (size_t i = 1; i <= 64; ++i) pieces.push_back(Bytes(i));
  for (std::string& piece : pieces) {
    expected += piece;
    from.push_back({piece.data(), piece.size()});
  }
  EXPECT_EQ(ours_.transport().Write(from), (IoResult{IoResult::kDone, expected.size()}));
  EXPECT_EQ(ReadAll(theirs_, expected.size()), expected);
}

TEST_P(TransportContractTest, AFullLineIsSaidAndGoesOnWhenThePeerReads) {
  Meet();
  const size_t written = Fill(ours_);
  EXPECT_EQ(ReadAll(theirs_, written).size(), written);
  ASSERT_TRUE(ours_.ReadyWithin(POLLOUT, 10'000));
  EXPECT_EQ(Carry(ours_, theirs_, "more"), "more");
}

TEST_P(TransportContractTest, OurEndComesAfterAllThatWasWritten) {
  Meet();
  const std::string bytes = Bytes(60'000);
  const size_t written = Ok(ours_.Write(bytes)).bytes();
  ASSERT_GT(written, 0u);
  CloseWrite(ours_);
  EXPECT_TRUE(ReadAll(theirs_) == bytes.substr(0, written));
  char byte;
  EXPECT_EQ(theirs_.Read(&byte, 1), IoResult{IoResult::kEnd}) << "from then on";
}

TEST_P(TransportContractTest, AfterOurEndThePeerMayGoOn) {
  Meet();
  CloseWrite(ours_);
  EXPECT_EQ(ReadAll(theirs_), "");
  EXPECT_EQ(Carry(theirs_, ours_, "still here"), "still here");
  CloseWrite(theirs_);
  EXPECT_EQ(ReadAll(ours_), "");
}

TEST_P(TransportContractTest, OurEndComesEvenWhenTheLineIsFull) {
  Meet();
  const size_t written = Fill(ours_);
  size_t received = 0;
  std::vector<char> room(10'000);
  bool asked = false, ended = false;
  EXPECT_TRUE(Try([&] {
    if (!asked) asked = Ok(ours_.transport().CloseWrite()).kind() == IoResult::kDone;
    const IoResult result = Ok(theirs_.Read(room.data(), room.size()));
    received += result.bytes();
    ended = result.kind() == IoResult::kEnd;
    return ended;
  }));
  EXPECT_TRUE(asked);
  EXPECT_EQ(received, written);
}

// A connection that has nothing left to say but goodbye is just destroyed, once the peer has ended.
TEST_P(TransportContractTest, DestroyingItEndsTheStreamInGoodOrder) {
  Meet();
  ASSERT_EQ(ours_.Write("goodbye"), (IoResult{IoResult::kDone, 7}));
  ours_.Close();
  EXPECT_EQ(ReadAll(theirs_), "goodbye");
}

TEST_P(TransportContractTest, ResetOnCloseBreaksTheStream) {
  if (!GetParam().can_reset) GTEST_SKIP() << "there is no reset here";
  Meet();
  ours_.transport().socket().ResetOnClose();
  ours_.Close();
  EXPECT_EQ(ReadAll(theirs_), "error");
}

TEST_P(TransportContractTest, WritingToWhoIsGoneIsAnErrorAndNoSignal) {
  Meet();
  theirs_.Close();
  EXPECT_TRUE(Try([&] { return !ours_.Write("anybody?").ok(); }));
  const IoResult result = ours_.Write("anybody?");
  EXPECT_FALSE(result.ok()) << "broken it stays";
  EXPECT_FALSE(ours_.transport().WhyFailed(result).ok());
}

TEST_P(TransportContractTest, SendsARangeOfAFile) {
  Meet();
  const UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  const std::string bytes = Bytes(2'000'000);
  ASSERT_EQ(write(file.get(), bytes.data(), bytes.size()), 2'000'000);
  constexpr size_t kFrom = 1'234, kCount = 1'900'000;
  size_t sent = 0;
  std::string received;
  std::vector<char> room(10'000);
  EXPECT_TRUE(Try([&] {
    if (sent < kCount) {
      const off_t from = static_cast<off_t>(kFrom + sent);
      sent += Ok(ours_.transport().SendFile(file.get(), from, kCount - sent)).bytes();
    }
    received.append(room.data(), Ok(theirs_.Read(room.data(), room.size())).bytes());
    return received.size() >= kCount;
  }));
  EXPECT_TRUE(received == bytes.substr(kFrom, kCount));
}

TEST_P(TransportContractTest, TheEndOfAFileIsTold) {
  Meet();
  const UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(write(file.get(), "0123456789", 10), 10);
  EXPECT_EQ(ours_.transport().SendFile(file.get(), 7, 10), (IoResult{IoResult::kDone, 3}));
  EXPECT_EQ(ours_.transport().SendFile(file.get(), 10, 1), IoResult{IoResult::kEnd});
  EXPECT_EQ(ReadAll(theirs_, 3), "789");
}

std::unique_ptr<Transport> MakePlain(Socket socket, bool) {
  return std::make_unique<PlainTransport>(std::move(socket));
}

INSTANTIATE_TEST_SUITE_P(
    Transports, TransportContractTest,
    ::testing::Values(Implementation{"PlainOverTcp", TcpPair, true, MakePlain},
                      Implementation{"PlainOverUnix", UnixPair, false, MakePlain},
                      Implementation{"PlainOverNarrowUnix", NarrowUnixPair, false, MakePlain}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace millrace
