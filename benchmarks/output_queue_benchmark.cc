// SPDX-License-Identifier: Apache-2.0
//
// What a message costs on its way through OutputQueue, less the system call:
//   tools/bazel run //benchmarks:output_queue_benchmark
#include <cstdint>
#include <string>

#include "absl/log/check.h"
#include "absl/strings/cord.h"
#include "benchmark/benchmark.h"
#include "net/io_result.h"
#include "net/output_queue.h"
#include "net/transport.h"

namespace millrace {
namespace {

// Takes all that it is offered, up to so many bytes in a call.
class Void final : public Transport {
 public:
  explicit Void(size_t per_call = SIZE_MAX) : per_call_(per_call) {}
  Socket& socket() override { return socket_; }
  IoResult Handshake() override { return {}; }
  IoResult Read(absl::Span<char>) override { return {}; }
  IoResult CloseWrite() override { return {}; }
  IoResult Write(absl::Span<const iovec> from) override {
    size_t n = 0;
    for (const iovec& piece : from) n += piece.iov_len;
    return {IoResult::kDone, n < per_call_ ? n : per_call_};
  }

 private:
  const size_t per_call_;
  Socket socket_;
};

void Drain(OutputQueue& queue, Void& transport) {
  while (!queue.empty()) CHECK(queue.WriteTo(transport).ok());
}

// Each is given the size of a message, and moves one.

void BM_Copy(benchmark::State& state) {
  OutputQueue::Pools pools;
  OutputQueue queue(pools);
  Void transport;
  const std::string bytes(state.range(0), 'x');
  for (auto _ : state) {
    queue.Append(bytes);
    Drain(queue, transport);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Copy)->Arg(64)->Arg(1024)->Arg(16 << 10)->Arg(1 << 20);

void BM_Borrow(benchmark::State& state) {
  OutputQueue::Pools pools;
  OutputQueue queue(pools);
  Void transport;
  const std::string bytes(state.range(0), 'x');
  for (auto _ : state) {
    queue.AppendBorrowed(bytes);
    Drain(queue, transport);
    queue.OwnBorrowed();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Borrow)->Arg(64)->Arg(16 << 10);

// Beside the two below, what making the string costs.
void BM_MakeString(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::string(state.range(0), 'x'));
}
BENCHMARK(BM_MakeString)->Arg(1024)->Arg(4096)->Arg(64 << 10);

void BM_TakeStringOver(benchmark::State& state) {
  OutputQueue::Pools pools;
  OutputQueue queue(pools);
  Void transport;
  for (auto _ : state) {
    queue.AppendOwned(std::string(state.range(0), 'x'));
    Drain(queue, transport);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_TakeStringOver)->Arg(1024)->Arg(4096)->Arg(64 << 10);

void BM_CopyString(benchmark::State& state) {
  OutputQueue::Pools pools;
  OutputQueue queue(pools);
  Void transport;
  for (auto _ : state) {
    queue.Append(std::string(state.range(0), 'x'));
    Drain(queue, transport);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_CopyString)->Arg(1024)->Arg(4096)->Arg(64 << 10);

void BM_ShareCord(benchmark::State& state) {
  OutputQueue::Pools pools;
  OutputQueue queue(pools);
  Void transport;
  const absl::Cord cord(std::string(state.range(0), 'x'));
  for (auto _ : state) {
    queue.AppendOwned(cord);
    Drain(queue, transport);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_ShareCord)->Arg(4096)->Arg(1 << 20);

// As many small answers as a pipelining client gets in one write.
void BM_ManySmallOnes(benchmark::State& state) {
  OutputQueue::Pools pools;
  OutputQueue queue(pools);
  Void transport;
  const std::string bytes(64, 'x');
  for (auto _ : state) {
    for (int64_t i = 0; i < state.range(0); ++i) queue.Append(bytes);
    Drain(queue, transport);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_ManySmallOnes)->Arg(16)->Arg(1000);

// A slow peer takes a few bytes at a time.
void BM_ShortWrites(benchmark::State& state) {
  OutputQueue::Pools pools;
  OutputQueue queue(pools);
  Void transport(static_cast<size_t>(state.range(0)));
  const std::string bytes(256 << 10, 'x');
  for (auto _ : state) {
    queue.Append(bytes);
    Drain(queue, transport);
  }
  state.SetBytesProcessed(state.iterations() * bytes.size());
}
BENCHMARK(BM_ShortWrites)->Arg(1460)->Arg(64 << 10);

}  // namespace
}  // namespace millrace
