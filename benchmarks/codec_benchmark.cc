// SPDX-License-Identifier: Apache-2.0
//
// What a message costs to decode and to encode.
//
//   bazel run //benchmarks:codec_benchmark

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "benchmark/benchmark.h"
#include "benchmarks/codec_rows.h"
#include "net/buffer.h"
#include "net/codec/delimiter_codec.h"
#include "net/codec/length_prefix_codec.h"
#include "net/codec/line_codec.h"

namespace millrace {
namespace {

LineCodec MakeCodec(Lines) { return LineCodec({.line_bytes_max = kMessageBytesMax}); }
DelimiterCodec MakeCodec(Delimited) {
  return DelimiterCodec(std::string(Delimited::kDelimiter),
                        {.message_bytes_max = kMessageBytesMax});
}
LengthPrefixCodec MakeCodec(LengthPrefixed) {
  return LengthPrefixCodec({.message_bytes_max = kMessageBytesMax});
}

// What a connection and its FramedHandler do: they look at what came where it was received, and
// keep what is not whole yet.
template <typename F>
class Decoder {
 public:
  using Format = F;

  int64_t Take(absl::string_view bytes) {
    Buffer input = Receive(bytes);
    int64_t messages = 0;
    while (!input.empty()) {
      const auto decoded = codec_.Decode(input.readable()).value();
      if (!decoded) break;
      benchmark::DoNotOptimize(decoded->message.data());
      input.Consume(decoded->bytes);
      ++messages;
    }
    rest_ = std::move(input);
    return messages;
  }

 private:
  Buffer Receive(absl::string_view bytes) {
    if (!rest_.empty()) {
      rest_.Append(bytes);
      return std::move(rest_);
    }
    std::memcpy(received_.data(), bytes.data(), bytes.size());
    return Buffer::Borrow(absl::MakeSpan(received_), bytes.size());
  }

  decltype(MakeCodec(F())) codec_ = MakeCodec(F());
  std::vector<char> received_ = std::vector<char>(kPieceBytes);
  Buffer rest_;
};

template <typename F>
class Encoder {
 public:
  using Format = F;

  void Put(absl::string_view message) {
    CHECK_OK(codec_.Encode(message, [this](absl::string_view bytes) { output_.Append(bytes); }));
  }
  void Clear() { output_.Clear(); }

 private:
  const decltype(MakeCodec(F())) codec_ = MakeCodec(F());
  Buffer output_;
};

template <typename F>
bool RegisterFormat() {
  return RegisterDecoder<Decoder<F>>("Millrace") && RegisterEncoder<Encoder<F>>("Millrace");
}
const bool kFormats =
    RegisterFormat<Lines>() && RegisterFormat<Delimited>() && RegisterFormat<LengthPrefixed>();

}  // namespace
}  // namespace millrace
