// SPDX-License-Identifier: Apache-2.0
//
// What a Buffer costs for each message. Bytes are those that pass through.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "benchmark/benchmark.h"
#include "net/buffer.h"

namespace millrace {
namespace {

// One message comes and is taken, and the block goes back with it.
void BM_AppendConsume(benchmark::State& state) {
  const std::string message(state.range(0), 'm');
  Buffer buffer;
  for (auto _ : state) {
    buffer.Append(message);
    benchmark::DoNotOptimize(buffer.data());
    buffer.Consume(message.size());
  }
  state.SetBytesProcessed(state.iterations() * message.size());
}
BENCHMARK(BM_AppendConsume)->Arg(64)->Arg(4 << 10)->Arg(64 << 10);

// The reader is always one message behind, so the block stays.
void BM_AppendConsumeOneBehind(benchmark::State& state) {
  const std::string message(state.range(0), 'm');
  Buffer buffer;
  buffer.Append(message);
  for (auto _ : state) {
    buffer.Append(message);
    benchmark::DoNotOptimize(buffer.data());
    buffer.Consume(message.size());
  }
  state.SetBytesProcessed(state.iterations() * message.size());
}
BENCHMARK(BM_AppendConsumeOneBehind)->Arg(64)->Arg(4 << 10)->Arg(64 << 10);

// What a connection does for each message that its handler takes whole.
void BM_BorrowConsume(benchmark::State& state) {
  std::vector<char> memory(64 << 10);
  for (auto _ : state) {
    Buffer input = Buffer::Borrow(absl::MakeSpan(memory), 64);
    benchmark::DoNotOptimize(input.data());
    input.Consume(input.size());
  }
}
BENCHMARK(BM_BorrowConsume);

// And where it leaves half of it.
void BM_BorrowOwnHalf(benchmark::State& state) {
  std::vector<char> memory(64 << 10);
  for (auto _ : state) {
    Buffer input = Buffer::Borrow(absl::MakeSpan(memory), 64);
    input.Consume(32);
    input.Own();
    benchmark::DoNotOptimize(input.data());
  }
}
BENCHMARK(BM_BorrowOwnHalf);

// Lines of 32 bytes from a borrowed buffer of 64 KiB.
void BM_ReadLine(benchmark::State& state) {
  const auto style = static_cast<Buffer::Eol>(state.range(0));
  constexpr absl::string_view kLine = "thirty bytes of text in a line\r\n";
  std::string text;
  while (text.size() < 64 << 10) text += kLine;
  for (auto _ : state) {
    Buffer input = Buffer::Borrow(absl::MakeSpan(text), text.size());
    while (auto line = input.ReadLine(style)) benchmark::DoNotOptimize(line->data());
  }
  state.SetBytesProcessed(state.iterations() * text.size());
  state.SetItemsProcessed(state.iterations() * (text.size() / kLine.size()));
}
BENCHMARK(BM_ReadLine)
    ->ArgName("style")
    ->Arg(static_cast<int>(Buffer::Eol::kLf))
    ->Arg(static_cast<int>(Buffer::Eol::kCrlf))
    ->Arg(static_cast<int>(Buffer::Eol::kAny));

void BM_AppendU32(benchmark::State& state) {
  Buffer buffer;
  uint32_t value = 0;
  for (auto _ : state) {
    buffer.AppendU32(value++);
    if (buffer.size() >= 4096) buffer.Clear();
  }
}
BENCHMARK(BM_AppendU32);

// A page full of them.
void BM_ReadU32(benchmark::State& state) {
  std::vector<char> memory(4096);
  for (auto _ : state) {
    Buffer input = Buffer::Borrow(absl::MakeSpan(memory), memory.size());
    while (!input.empty()) benchmark::DoNotOptimize(input.ReadU32());
  }
  state.SetItemsProcessed(state.iterations() * memory.size() / sizeof(uint32_t));
}
BENCHMARK(BM_ReadU32);

// A frame: its body, then its length in front of it.
void BM_PrependLength(benchmark::State& state) {
  const std::string body(100, 'b');
  for (auto _ : state) {
    Buffer frame;
    frame.Append(body);
    frame.PrependU32(static_cast<uint32_t>(body.size()));
    benchmark::DoNotOptimize(frame.data());
  }
}
BENCHMARK(BM_PrependLength);

// A message of 16 MiB arrives in pieces.
void BM_GrowTo16MiB(benchmark::State& state) {
  const std::string piece(state.range(0), 'p');
  constexpr size_t kTotal = size_t{16} << 20;
  for (auto _ : state) {
    Buffer buffer;
    while (buffer.size() < kTotal) buffer.Append(piece);
    benchmark::DoNotOptimize(buffer.data());
  }
  state.SetBytesProcessed(state.iterations() * kTotal);
}
BENCHMARK(BM_GrowTo16MiB)->Arg(4 << 10)->Arg(64 << 10)->Arg(256 << 10);

}  // namespace
}  // namespace millrace
