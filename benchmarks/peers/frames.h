// SPDX-License-Identifier: Apache-2.0
//
// The requests of the peers' --framed mode, and their replies: the length of what follows, in four
// bytes, the highest first, and that many bytes. The peers' own, since theirs must not depend on
// ours. Values and functions of one thread.
//
//   peer::FrameReader frames;                       // One for each connection.
//   if (!frames.Take(bytes_read, [&](std::string_view frame) { Send(frame); })) Close();

#ifndef MILLRACE_BENCHMARKS_PEERS_FRAMES_H_
#define MILLRACE_BENCHMARKS_PEERS_FRAMES_H_

#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace peer {

inline constexpr size_t kPrefixBytes = sizeof(uint32_t);
inline constexpr size_t kFrameBytesMax = size_t{1} << 20;
inline constexpr size_t kBadFrame = SIZE_MAX;

// The bytes of the frame that `bytes` begin with, whether they are all there or not; 0 if too few
// are there to say. kBadFrame: nobody may ask for as much.
inline size_t FrameBytes(std::string_view bytes) {
  if (bytes.size() < kPrefixBytes) return 0;
  uint32_t length;
  std::memcpy(&length, bytes.data(), sizeof length);
  const size_t frame_bytes = kPrefixBytes + ntohl(length);
  return frame_bytes <= kFrameBytesMax ? frame_bytes : kBadFrame;
}

// Calls `reply` with each whole frame. Returns how many bytes they were, or kBadFrame.
template <typename Reply>
size_t ForEachFrame(std::string_view bytes, Reply&& reply) {
  size_t done = 0;
  while (true) {
    const size_t frame_bytes = FrameBytes(bytes.substr(done));
    if (frame_bytes == kBadFrame) return kBadFrame;
    if (frame_bytes == 0 || frame_bytes > bytes.size() - done) return done;
    reply(bytes.substr(done, frame_bytes));
    done += frame_bytes;
  }
}

// For servers that read into a buffer which all connections share: keeps the beginning of a frame
// until the rest comes.
class FrameReader {
 public:
  // False: there is a bad one.
  template <typename Reply>
  bool Take(std::string_view bytes, Reply&& reply) {
    if (kept_.empty()) return Read(bytes, reply, [&](size_t done) { kept_ = bytes.substr(done); });
    kept_.append(bytes);
    return Read(kept_, reply, [&](size_t done) { kept_.erase(0, done); });
  }

 private:
  template <typename Reply, typename Keep>
  static bool Read(std::string_view bytes, Reply&& reply, Keep&& keep) {
    const size_t done = ForEachFrame(bytes, reply);
    if (done == kBadFrame) return false;
    keep(done);
    return true;
  }

  std::string kept_;
};

}  // namespace peer

#endif  // MILLRACE_BENCHMARKS_PEERS_FRAMES_H_
