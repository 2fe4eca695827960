// SPDX-License-Identifier: Apache-2.0
//
// OutputQueueTest is the fixture of OutputQueue's tests: a queue, and a Sink that takes what it
// writes, as much of it as the test likes. When it is over all memory must have come back.
//
//   queue().Append("hello");
//   sink_.room = 2;
//   EXPECT_EQ(Drain().kind(), IoResult::kWantWrite);

#ifndef MILLRACE_TESTS_NET_OUTPUT_QUEUE_FIXTURE_H_
#define MILLRACE_TESTS_NET_OUTPUT_QUEUE_FIXTURE_H_

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "net/io_result.h"
#include "net/output_queue.h"
#include "net/socket.h"
#include "net/transport.h"

namespace millrace {

// A socket as the test wants it: takes `room` bytes in all, at most `per_call` of them at once.
class Sink final : public Transport {
 public:
  Socket& socket() override { return socket_; }
  IoResult Handshake() override { return {}; }
  IoResult Read(absl::Span<char>) override { return {}; }
  IoResult CloseWrite() override { return {}; }

  IoResult Write(absl::Span<const iovec> from) override {
    pieces.clear();
    for (const iovec& piece : from) {
      EXPECT_GT(piece.iov_len, 0u);
      pieces.emplace_back(static_cast<const char*>(piece.iov_base), piece.iov_len);
    }
    ++writes;
    if (error != 0) return IoResult::Failed(IoCall::kSend, error);
    size_t most = std::min(room, per_call);
    if (most == 0) return wants;
    size_t sent = 0;
    for (absl::string_view piece : pieces) {
      const size_t n = std::min(piece.size(), most);
      taken.append(piece.data(), n);
      sent += n;
      most -= n;
    }
    if (room != kMuch) room -= sent;
    return {IoResult::kDone, sent};
  }

  IoResult SendFile(int file, off_t offset, size_t count) override {
    asked_of_file = count;
    return Transport::SendFile(file, offset, count);
  }

  static constexpr size_t kMuch = std::numeric_limits<size_t>::max();
  size_t room = kMuch;
  size_t per_call = kMuch;
  IoResult::Kind wants = IoResult::kWantWrite;  // Said when there is no room.
  int error = 0;                                // An errno, for writes to fail with.

  std::string taken;
  std::vector<absl::string_view> pieces;  // What the last call was offered; gone once written.
  int writes = 0;
  size_t asked_of_file = 0;

 private:
  Socket socket_;
};

inline UniqueFd FileWith(absl::string_view bytes) {
  UniqueFd file(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return file;
}

class OutputQueueTest : public ::testing::Test {
 protected:
  ~OutputQueueTest() override {
    queue_.reset();
    EXPECT_EQ(pools_.blocks.in_use(), 0u);
    EXPECT_EQ(pools_.pieces.in_use(), 0u);
  }

  // Writes until all is gone or nothing goes, which must not be for a failure. The last result.
  IoResult Drain() {
    IoResult result;
    while (!queue().empty()) {
      const uint64_t before = queue().bytes();
      result = queue().WriteTo(sink_);
      EXPECT_NE(result.kind(), IoResult::kEnd) << result.bytes() << " bytes of a file are missing";
      EXPECT_TRUE(result.ok()) << result;
      if (result.kind() == IoResult::kEnd || !result.ok()) break;
      EXPECT_EQ(before - queue().bytes(), result.bytes());
      if (result.kind() != IoResult::kDone && sink_.room == 0) break;
    }
    return result;
  }
  std::string Drained() {
    EXPECT_EQ(Drain().kind(), IoResult::kDone);
    EXPECT_EQ(queue().bytes(), 0u);
    return std::exchange(sink_.taken, "");
  }
  OutputQueue& queue() { return *queue_; }
  size_t blocks() const { return pools_.blocks.in_use(); }
  size_t nodes() const { return pools_.pieces.in_use(); }

  OutputQueue::Pools pools_;
  std::optional<OutputQueue> queue_{pools_};
  Sink sink_;
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_NET_OUTPUT_QUEUE_FIXTURE_H_
