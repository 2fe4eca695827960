// SPDX-License-Identifier: Apache-2.0
#include "net/output_queue.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "absl/log/check.h"
#include "net/limits.h"

namespace millrace {

// The pieces kept weigh a few KiB, but save an allocation a message where bytes are taken over.
OutputQueue::Pools::Pools()
    : blocks(kOutputBlockBytes, kOutputBlocksKeptMax),
      pieces(sizeof(Piece), kOutputBlocksKeptMax) {}

void OutputQueue::Link(Piece* piece) {
  if (is_borrowed()) MakePieceOfBorrowed();  // Its bytes come first.
  (tail_ == nullptr ? head_ : tail_->next) = piece;
  tail_ = piece;
}

template <typename Keeper>
OutputQueue::Piece& OutputQueue::AddPiece(Keeper keeper) {
  Piece* piece = new (pools_.pieces.Take()) Piece{.keeper = std::move(keeper)};
  Link(piece);
  return *piece;
}

OutputQueue::Piece& OutputQueue::AddBlock() {
  Piece* piece = new (pools_.blocks.Take()) Piece{.keeper = InBlock()};
  piece->rest = absl::string_view(reinterpret_cast<const char*>(piece + 1), 0);
  Link(piece);
  return *piece;
}

void OutputQueue::Append(absl::string_view bytes) {
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    const bool in_block = tail_ != nullptr && std::holds_alternative<InBlock>(tail_->keeper);
    Piece* block = in_block ? tail_ : &AddBlock();
    char* end = const_cast<char*>(block->rest.data() + block->rest.size());
    const char* limit = reinterpret_cast<const char*>(block) + kOutputBlockBytes;
    const size_t n = std::min(bytes.size(), static_cast<size_t>(limit - end));
    if (n == 0) {
      AddBlock();
      continue;
    }
    std::memcpy(end, bytes.data(), n);
    block->rest = absl::string_view(block->rest.data(), block->rest.size() + n);
    bytes.remove_prefix(n);
  }
}

void OutputQueue::AppendOwned(std::string bytes) {
  if (bytes.size() < kOutputTakeOverBytes) return Append(bytes);
  Piece& piece = AddPiece(std::move(bytes));
  piece.rest = std::get<std::string>(piece.keeper);
  bytes_ += piece.rest.size();
}

void OutputQueue::AppendOwned(Buffer bytes) {
  DCHECK(!bytes.borrowed());
  if (bytes.size() < kOutputTakeOverBytes) return Append(bytes.readable());
  Piece& piece = AddPiece(std::move(bytes));
  piece.rest = std::get<Buffer>(piece.keeper).readable();
  bytes_ += piece.rest.size();
}

void OutputQueue::AppendOwned(const absl::Cord& bytes) {
  if (empty() && !bytes.empty() && bytes.TryFlat()) return ShareWhole(bytes);
  for (absl::string_view chunk : bytes.Chunks()) {
    chunk.size() < kOutputTakeOverBytes ? Append(chunk) : Share(chunk, bytes);
  }
}

// Where nothing waits that a small one could be copied behind, a reference to what many queues
// share costs less than a block of each. Asked again, for a cord of a few bytes holds them itself.
void OutputQueue::ShareWhole(const absl::Cord& bytes) {
  Piece& piece = AddPiece(bytes);
  piece.rest = *std::get<absl::Cord>(piece.keeper).TryFlat();
  bytes_ += piece.rest.size();
}

// Every copy of a cord shares its large chunks, so one more keeps this one where it is.
void OutputQueue::Share(absl::string_view bytes, const absl::Cord& owner) {
  AddPiece(owner).rest = bytes;
  bytes_ += bytes.size();
}

void OutputQueue::AppendFile(UniqueFd file, off_t offset, uint64_t count) {
  if (count == 0) return;
  AddPiece(File{std::move(file), offset, count});
  bytes_ += count;
  file_bytes_ += count;
}

void OutputQueue::AppendBorrowed(absl::string_view bytes) {
  if (bytes.empty()) return;
  if (empty() && pools_.borrower == nullptr) return BorrowAlone(bytes);
  AddPiece(Borrowed()).rest = bytes;
  has_borrowed_ = true;
  bytes_ += bytes.size();
}

void OutputQueue::MakePieceOfBorrowed() {
  pools_.borrower = nullptr;
  AddPiece(Borrowed()).rest = pools_.lent;
  has_borrowed_ = true;
}

namespace {
// Less than offered: there is no more room, and asking again would only have the kernel say so.
IoResult MarkIfShort(IoResult result, size_t offered) {
  const bool is_short = result.kind() == IoResult::kDone && result.bytes() < offered;
  return is_short ? IoResult(IoResult::kWantWrite, result.bytes()) : result;
}
}  // namespace

IoResult OutputQueue::WriteTo(Transport& transport, uint64_t most) {
  DCHECK(!empty() && most > 0);
  if (is_borrowed()) {
    const absl::string_view offered = pools_.lent.substr(0, most);
    return WroteSomeBorrowed(transport.Write(offered), offered.size());
  }
  const size_t limit = std::min<uint64_t>(most, kOutputBytesPerWriteMax);
  File* file = std::get_if<File>(&head_->keeper);
  return file != nullptr ? WriteFile(transport, *file, limit) : WritePieces(transport, limit);
}

IoResult OutputQueue::WroteSomeBorrowed(IoResult result, size_t offered) {
  if (result.kind() != IoResult::kDone) return result;
  bytes_ -= result.bytes();
  pools_.lent.remove_prefix(result.bytes());
  if (pools_.lent.empty()) pools_.borrower = nullptr;
  return MarkIfShort(result, offered);
}

// The bytes ahead of the first file, as many as one write may have. Returns how many, and in how
// many pieces.
size_t OutputQueue::Gather(absl::Span<iovec> into, size_t most, int& pieces) const {
  size_t offered = 0;
  pieces = 0;
  for (const Piece* piece = head_; piece != nullptr; piece = piece->next) {
    if (static_cast<size_t>(pieces) == into.size() || offered == most) break;
    if (std::holds_alternative<File>(piece->keeper)) break;
    const size_t n = std::min(piece->rest.size(), most - offered);
    into[pieces++] = {const_cast<char*>(piece->rest.data()), n};
    offered += n;
  }
  return offered;
}

IoResult OutputQueue::WritePieces(Transport& transport, size_t most) {
  std::array<iovec, kOutputPiecesPerWriteMax> from;
  int pieces;
  const size_t offered = Gather(absl::MakeSpan(from), most, pieces);
  const IoResult result = pieces == 1 ? transport.Write(head_->rest.substr(0, offered))
                                      : transport.Write(absl::MakeConstSpan(from.data(), pieces));
  if (result.kind() == IoResult::kDone) Written(result.bytes());
  return MarkIfShort(result, offered);
}

IoResult OutputQueue::WriteFile(Transport& transport, File& file, size_t most) {
  const size_t count = std::min<uint64_t>(file.count, most);
  const IoResult result = transport.SendFile(file.file.get(), file.offset, count);
  if (result.kind() == IoResult::kEnd) return {IoResult::kEnd, file.count};
  if (result.kind() != IoResult::kDone) return result;
  file.offset += result.bytes();
  file.count -= result.bytes();
  bytes_ -= result.bytes();
  file_bytes_ -= result.bytes();
  if (file.count == 0) Free(PopPiece());
  return result;
}

void OutputQueue::Written(size_t n) {
  bytes_ -= n;
  while (n > 0) {
    if (n < head_->rest.size()) return head_->rest.remove_prefix(n);
    n -= head_->rest.size();
    Free(PopPiece());
  }
}

void OutputQueue::OwnBorrowed() {
  if (is_borrowed()) MakePieceOfBorrowed();
  if (!has_borrowed_) return;
  has_borrowed_ = false;
  Piece* piece = head_;
  head_ = tail_ = nullptr;
  while (piece != nullptr) {
    Piece* next = std::exchange(piece->next, nullptr);
    if (std::holds_alternative<Borrowed>(piece->keeper)) {
      bytes_ -= piece->rest.size();  // Append() counts them again.
      Append(piece->rest);
      Free(piece);
    } else {
      Link(piece);
    }
    piece = next;
  }
}

OutputQueue::Piece* OutputQueue::PopPiece() {
  Piece* piece = head_;
  head_ = piece->next;
  if (head_ == nullptr) tail_ = nullptr;
  return piece;
}

void OutputQueue::Free(Piece* piece) {
  BlockPool& pool = std::holds_alternative<InBlock>(piece->keeper) ? pools_.blocks : pools_.pieces;
  piece->~Piece();
  pool.Give(piece);
}

void OutputQueue::Clear() {
  if (is_borrowed()) pools_.borrower = nullptr;
  while (head_ != nullptr) Free(PopPiece());
  bytes_ = file_bytes_ = 0;
  has_borrowed_ = false;
}

}  // namespace millrace
