// SPDX-License-Identifier: Apache-2.0
//
// What the fuzzers of codecs share: an input whose first bytes choose, and whose rest is the
// stream, and what must be true of each codec. A failed check ends the process. Values; one thread.
//
//   FuzzInput input(data, size);
//   const LineCodec codec({.line_bytes_max = input.TakeByte()});
//   const CutSizes cuts(input);
//   CheckDecodes(codec, cuts, input.rest(), expected);

#ifndef MILLRACE_TESTS_NET_CODEC_CODEC_FUZZ_H_
#define MILLRACE_TESTS_NET_CODEC_CODEC_FUZZ_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "net/codec/codec.h"
#include "tests/net/codec/cut_stream.h"

namespace millrace {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  // 0 once there is no more.
  uint8_t TakeByte() {
    const absl::string_view byte = TakeBytes(1);
    return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
  }
  // Fewer once there are no more.
  absl::string_view TakeBytes(size_t n) {
    const absl::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  absl::string_view rest() const { return rest_; }

 private:
  absl::string_view rest_;
};

// The sizes of the pieces, up to 15, which come in turn, over and over. None: all in one.
class CutSizes {
 public:
  explicit CutSizes(FuzzInput& input) : sizes_(input.TakeBytes(input.TakeByte() % 16)) {}

  size_t Next() {
    if (sizes_.empty()) return std::string::npos;
    return std::max<size_t>(1, static_cast<uint8_t>(sizes_[next_++ % sizes_.size()]));
  }

 private:
  absl::string_view sizes_;
  size_t next_ = 0;
};

// However the stream is cut, it is decoded to what is expected. Returns that.
template <Codec C>
Decodings CheckDecodes(const C& codec, CutSizes cuts, absl::string_view stream,
                       const Decodings& expected) {
  CutStream<C> cut(codec);
  for (absl::string_view later = stream; !later.empty();) {
    const absl::string_view piece = later.substr(0, cuts.Next());
    cut.Take(piece);
    later.remove_prefix(piece.size());
  }
  CHECK_EQ(cut.status, expected.status);
  CHECK(cut.messages == expected.messages) << cut.messages.size();
  if (cut.status.ok()) {
    CHECK_EQ(cut.rest, expected.rest);
    CHECK(absl::EndsWith(stream, cut.rest)) << "the rest is not that of the stream";
  }
  return cut;
}

// Is encoded exactly if it comes back, which `comes_back` says. Returns the frame, or "".
template <Codec C>
std::string CheckEncodes(const C& codec, absl::string_view message, bool comes_back) {
  const absl::StatusOr<std::string> frame = Encoded(codec, message);
  CHECK_EQ(frame.ok(), comes_back) << frame.status();
  if (!frame.ok()) return "";
  CutStream<C> back(codec);
  back.Take(*frame);
  CHECK(back.status.ok() && back.rest.empty() && back.messages.size() == 1) << back.status;
  CHECK_EQ(back.messages[0], message);
  return *frame;
}

}  // namespace millrace

#endif  // MILLRACE_TESTS_NET_CODEC_CODEC_FUZZ_H_
