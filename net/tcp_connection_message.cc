// SPDX-License-Identifier: Apache-2.0
//
// What a TcpConnection does with a message that came in part: keeps what the handler left unread,
// offers it again with what follows, and has its clock run.
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "net/close_reason.h"
#include "net/limits.h"
#include "net/pending_message.h"
#include "net/tcp_connection.h"

namespace millrace {

void TcpConnection::TakeMore(absl::Span<char> bytes) {
  message_->Arrived(bytes.size());
  if (!message_->unread.empty()) {
    message_->unread.Append({bytes.data(), bytes.size()});
    return OfferRest();
  }
  Buffer view = Buffer::Borrow(bytes, bytes.size());  // Of a message that is taken in pieces.
  Offer(view);
  view.empty() ? DropMessageIfOver() : KeepRest(view);
}

void TcpConnection::OfferRest() {
  is_.offer_again = false;
  const size_t before = message_->unread.size();
  message_->offered = true;
  Offer(message_->unread);
  message_->offered = false;
  if (message_->unread.size() < before && !message_->begun) {
    message_->Restart(loop().now());
    if (!closed()) EnsureMessageTimer();  // With fewer bytes its rate's deadline may be nearer.
  }
  if (!message_->unread.empty()) Note(FlightEvent::kLeftUnread, message_->unread.size());
  DropMessageIfOver();
  CheckRest();
}

void TcpConnection::KeepRest(Buffer& view) {
  if (is_.state != State::kOpen) return;
  if (message_ == nullptr) MakeMessage();
  message_->unread = std::move(view);  // Which copies it.
  Note(FlightEvent::kLeftUnread, message_->unread.size());
  if (!message_->begun) message_->Restart(loop().now());
  EnsureMessageTimer();
  CheckRest();
}

void TcpConnection::MakeMessage() {
  message_ = std::make_unique<PendingMessage>(loop().now());
  message_->SetReading(!is_.holds_back(), loop().now());
}

void TcpConnection::CheckRest() {
  if (is_.state != State::kOpen || message_ == nullptr) return;
  const size_t unread = message_->unread.size(), max = owner_.limits().input_bytes_max;
  if (unread >= kBudgetHolderBytes) is_.holds_much = true;  // So that Settle() counts it.
  if (unread <= max) return;
  resets_ = true;
  Fail(CloseCause::kInputLimit,
       absl::ResourceExhaustedError(absl::StrCat("the handler left ", unread,
                                                 " bytes of input unread, more than ", max,
                                                 " (input_bytes_max)")));
}

void TcpConnection::DropMessageIfOver() {
  if (message_ != nullptr && message_->over() && !message_->offered) message_.reset();
}

void TcpConnection::BeginMessage() {
  if (!open()) return;
  if (message_ == nullptr) MakeMessage();
  message_->begun = true;
  message_->Restart(loop().now());
  EnsureMessageTimer();
}

void TcpConnection::EndMessage() {
  if (message_ == nullptr) return;
  message_->begun = false;
  message_->Restart(loop().now());
  DropMessageIfOver();
  if (!closed()) EnsureMessageTimer();
}

// The handler has the last word on what came, and then nobody needs it any more.
void TcpConnection::TakeEnd() {
  is_.peer_ended = true;
  Note(FlightEvent::kEndOfInput);
  if (cause_ == CloseCause::kNone) cause_ = CloseCause::kPeerEnded;
  last_read_ = loop().now();
  if (is_.state != State::kOpen) return;
  ++in_handler_;
  Buffer nothing;
  if (message_ != nullptr) message_->offered = true;
  handler_->OnEndOfInput(*this, message_ != nullptr ? message_->unread : nothing);
  --in_handler_;
  message_.reset();  // No more comes that could complete it.
}

}  // namespace millrace
