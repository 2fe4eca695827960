// SPDX-License-Identifier: Apache-2.0
//
// OutputQueue holds what waits to be written to one connection, in order, and counts it to the
// byte. Small writes are copied into pooled blocks, side by side; large strings, cords and buffers
// are taken over without a copy; ranges of files go by sendfile(2). It holds no memory while it is
// empty. Owned by its TcpConnection. Loop-only.
//
//   queue.Append("HTTP/1.1 200 OK\r\n\r\n");
//   queue.AppendOwned(std::move(body));
//   const IoResult result = queue.WriteTo(transport);             // One gathering write for both.

#ifndef MILLRACE_NET_OUTPUT_QUEUE_H_
#define MILLRACE_NET_OUTPUT_QUEUE_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>

#include "absl/log/check.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/thread_role.h"
#include "base/unique_fd.h"
#include "net/block_pool.h"
#include "net/buffer.h"
#include "net/io_result.h"
#include "net/transport.h"

namespace millrace {

class OutputQueue {
 private:
  // Where a piece's bytes are kept, if not by itself.
  struct InBlock {};   // Behind the piece, in the same block.
  struct Borrowed {};  // By somebody who keeps them until OwnBorrowed().
  struct File {
    UniqueFd file;
    off_t offset;
    uint64_t count;
  };
  struct Piece {
    Piece* next = nullptr;
    absl::string_view rest = {};  // What is not yet written; empty for a file.
    std::variant<InBlock, Borrowed, std::string, Buffer, absl::Cord, File> keeper = InBlock();
  };

 public:
  // The memory of all queues of a loop. Outlives them.
  struct Pools {
    Pools();
    BlockPool blocks;  // For pieces with their bytes behind them.
    BlockPool pieces;  // For the others.

    // What was borrowed by the queue that has nothing else. Such bytes are written before anybody
    // else borrows, so one place does for all, and an echo takes no piece.
    OutputQueue* borrower = nullptr;
    absl::string_view lent;
  };

  static constexpr uint64_t kUnbounded = std::numeric_limits<uint64_t>::max();

  explicit OutputQueue(Pools& pools) : pools_(pools) {}
  OutputQueue(const OutputQueue&) = delete;
  OutputQueue& operator=(const OutputQueue&) = delete;
  ~OutputQueue() { Clear(); }

  bool empty() const { return bytes_ == 0; }
  // All that waits, ranges of files too.
  uint64_t bytes() const { return bytes_; }
  // Of that, what is not in files.
  uint64_t memory_bytes() const { return bytes_ - file_bytes_; }

  // Empty ones are no-ops, all of them.
  void Append(absl::string_view bytes);  // Copies.
  void AppendOwned(std::string bytes);   // Takes over, if it is worth it: see kOutputTakeOverBytes.
  void AppendOwned(Buffer bytes);        // Requires: not borrowed.
  void AppendOwned(const absl::Cord& bytes);  // Shares it, but for small pieces behind others.
  void AppendFile(UniqueFd file, off_t offset, uint64_t count);
  // Does not copy yet: the caller keeps the bytes until it has called OwnBorrowed().
  void AppendBorrowed(absl::string_view bytes);
  // The same. Requires: empty(), as is every other queue that borrowed from these pools.
  void BorrowAlone(absl::string_view bytes) {
    DCHECK(empty() && pools_.borrower == nullptr);
    pools_.borrower = this;
    pools_.lent = bytes;
    bytes_ = bytes.size();
  }

  // Writes as much as one call takes, and `most` (> 0) at most. kDone: all that was offered went,
  // and there may be more. kWantRead or kWantWrite, with the bytes that went: the rest must wait
  // for that. kEnd: a file has proved shorter than its range, by `bytes`. Requires: not empty.
  // After kEnd or kFailed the queue is only good for Clear().
  IoResult WriteTo(Transport& transport, uint64_t most = kUnbounded) LOOP_ONLY;

  // What an echo needs, and no more: when all that waits was borrowed at once, the caller may write
  // borrowed() himself. Either all of it went; or less, with this result, and WriteTo() would say
  // what is returned.
  bool is_borrowed() const { return pools_.borrower == this; }
  absl::string_view borrowed() const { return pools_.lent; }
  void BorrowedIsWritten() {
    bytes_ = 0;
    pools_.borrower = nullptr;
  }
  IoResult WroteSomeBorrowed(IoResult result) { return WroteSomeBorrowed(result, lent_bytes()); }

  // Copies what is borrowed and did not go.
  void OwnBorrowed();
  void Clear();

 private:
  template <typename Keeper>
  Piece& AddPiece(Keeper keeper);
  void MakePieceOfBorrowed();
  size_t lent_bytes() const { return pools_.lent.size(); }
  IoResult WroteSomeBorrowed(IoResult result, size_t offered);
  Piece& AddBlock();
  void Link(Piece* piece);
  void ShareWhole(const absl::Cord& bytes);
  void Share(absl::string_view bytes, const absl::Cord& owner);
  size_t Gather(absl::Span<iovec> into, size_t most, int& pieces) const;
  IoResult WritePieces(Transport& transport, size_t most) LOOP_ONLY;
  IoResult WriteFile(Transport& transport, File& file, size_t most) LOOP_ONLY;
  void Written(size_t n);
  Piece* PopPiece();
  void Free(Piece* piece);

  Pools& pools_;
  Piece* head_ = nullptr;
  Piece* tail_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t file_bytes_ : 63 = 0;
  uint64_t has_borrowed_ : 1 = 0;
};

}  // namespace millrace

#endif  // MILLRACE_NET_OUTPUT_QUEUE_H_
