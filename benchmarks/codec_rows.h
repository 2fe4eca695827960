// SPDX-License-Identifier: Apache-2.0
//
// What it costs to tell messages apart in a stream, and to frame them: the rows
// Codec/OPERATION/WHO/BYTES, of messages of so many bytes, the same for every library. One takes
// part with a class for each format that it knows, Lines, Delimited or LengthPrefixed:
//
//   class Decoder {
//     using Format = Lines;
//     int64_t Take(absl::string_view bytes);  // What a read brought. How many messages ended in
//   };                                        // it; each was looked at, and dropped.
//   class Encoder {
//     using Format = Lines;
//     void Put(absl::string_view message);    // Frames it into a buffer.
//     void Clear();                           // Forgets what the buffer holds.
//   };
//   const bool kLines = RegisterDecoder<Decoder>("libevent") && RegisterEncoder<...>("libevent");
//
// Input comes in pieces of 64 KiB, each of which is copied once by all, as from the kernel.

#ifndef MILLRACE_BENCHMARKS_CODEC_ROWS_H_
#define MILLRACE_BENCHMARKS_CODEC_ROWS_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "benchmark/benchmark.h"

namespace millrace {

inline constexpr size_t kPieceBytes = size_t{64} << 10;
inline constexpr int64_t kMessageBytesMax = int64_t{1} << 20;

struct Lines {
  static constexpr char kName[] = "Lines";
  static std::string Frame(absl::string_view message) { return absl::StrCat(message, "\n"); }
};

struct Delimited {
  static constexpr char kName[] = "Delimited";
  static constexpr absl::string_view kDelimiter = "\r\n\r\n";
  static std::string Frame(absl::string_view message) { return absl::StrCat(message, kDelimiter); }
};

// Of four bytes, in network order.
struct LengthPrefixed {
  static constexpr char kName[] = "LengthPrefixed";
  static std::string Frame(absl::string_view message) {
    std::string frame;
    for (int shift = 24; shift >= 0; shift -= 8) {
      frame += static_cast<char>(message.size() >> shift & 0xff);
    }
    return absl::StrCat(frame, message);
  }
};

// As many messages as fill a piece; one, that needs several, if it is longer than that.
inline int64_t MessagesOf(size_t frame_bytes) {
  return std::max<int64_t>(1, static_cast<int64_t>(kPieceBytes / frame_bytes));
}

template <typename Decoder>
void Decode(benchmark::State& state) {
  const std::string frame = Decoder::Format::Frame(std::string(state.range(0), 'm'));
  const int64_t messages = MessagesOf(frame.size());
  std::string stream;
  for (int64_t i = 0; i < messages; ++i) stream += frame;
  Decoder decoder;
  int64_t decoded = 0;
  for (auto _ : state) {
    for (absl::string_view rest = stream; !rest.empty();
         rest.remove_prefix(std::min(kPieceBytes, rest.size()))) {
      decoded += decoder.Take(rest.substr(0, kPieceBytes));
    }
  }
  if (decoded != static_cast<int64_t>(state.iterations()) * messages) {
    state.SkipWithError("messages were lost");
  }
  state.SetItemsProcessed(decoded);
}

template <typename Encoder>
void Encode(benchmark::State& state) {
  const std::string message(state.range(0), 'm');
  const int64_t messages = MessagesOf(Encoder::Format::Frame(message).size());
  Encoder encoder;
  for (auto _ : state) {
    for (int64_t i = 0; i < messages; ++i) encoder.Put(message);
    encoder.Clear();
  }
  state.SetItemsProcessed(state.iterations() * messages);
}

inline bool RegisterCodec(const std::string& name, void (*run)(benchmark::State&)) {
  benchmark::RegisterBenchmark(("Codec/" + name).c_str(), run)
      ->Arg(16)
      ->Arg(256)
      ->Arg(4096)
      ->Arg(kMessageBytesMax);
  return true;
}

template <typename Decoder>
bool RegisterDecoder(const std::string& who) {
  return RegisterCodec(absl::StrCat("Decode", Decoder::Format::kName, "/", who), Decode<Decoder>);
}

template <typename Encoder>
bool RegisterEncoder(const std::string& who) {
  return RegisterCodec(absl::StrCat("Encode", Encoder::Format::kName, "/", who), Encode<Encoder>);
}

}  // namespace millrace

#endif  // MILLRACE_BENCHMARKS_CODEC_ROWS_H_
