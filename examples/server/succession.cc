// SPDX-License-Identifier: Apache-2.0
#include "examples/server/succession.h"

#include <utility>

#include "absl/log/log.h"
#include "base/status_macros.h"
#include "net/acceptor.h"

namespace millrace {

Succession::Succession(EventLoop& main, const Settings& settings,
                       std::vector<InheritedSocket> inherited, UniqueFd told_to_end)
    : main_(main),
      settings_(settings),
      inherited_(std::move(inherited)),
      told_to_end_(std::move(told_to_end)) {}

absl::Status Succession::TakeOver() {
  if (!settings_.offer) return absl::OkStatus();
  absl::StatusOr<ListenerTakeover> takeover =
      ListenerTakeover::From(*settings_.offer, {.cancel_fd = told_to_end_.get()});
  if (absl::IsNotFound(takeover.status())) return absl::OkStatus();
  MILLRACE_RETURN_IF_ERROR(takeover.status());
  takeover_ = *std::move(takeover);
  return absl::OkStatus();
}

absl::Status Succession::Listen() {
  if (!inherited_.empty() && settings_.addresses_given) {
    return absl::InvalidArgumentError(
        "--listen: the service manager has made the sockets already (LISTEN_FDS); give only one of "
        "the two");
  }
  MILLRACE_RETURN_IF_ERROR(TakeOver());
  std::vector<ListenerSet::Listener> had;
  if (takeover_) had = takeover_->TakeListeners();
  if (!inherited_.empty()) {
    had.clear();  // The manager's are the same, or are meant to be there in their place.
    for (InheritedSocket& each : inherited_) {
      MILLRACE_ASSIGN_OR_RETURN(SocketAddress address, each.socket.LocalAddress());
      had.push_back({.socket = std::move(each.socket), .address = address, .lent = true});
    }
  }
  if (had.empty() || settings_.addresses_given) {
    MILLRACE_ASSIGN_OR_RETURN(listeners_, ListenerSet::At(settings_.addresses, std::move(had), {}));
  } else {
    MILLRACE_ASSIGN_OR_RETURN(listeners_, ListenerSet::Of(std::move(had), {}));
  }
  return absl::OkStatus();
}

std::optional<pid_t> Succession::predecessor() const {
  if (!takeover_) return std::nullopt;
  return takeover_->predecessor();
}

absl::Status Succession::Begin(absl::AnyInvocable<void(pid_t successor)> on_handed_over) {
  if (!settings_.offer) return absl::OkStatus();
  // First all that may fail, then the point of no return.
  MILLRACE_RETURN_IF_ERROR(Offer(std::move(on_handed_over)));
  if (takeover_) MILLRACE_RETURN_IF_ERROR(takeover_->Finish());
  told_to_end_.Reset();
  handover_->TakeFile();
  listeners_.TakeFiles();
  return absl::OkStatus();
}

absl::Status Succession::Offer(absl::AnyInvocable<void(pid_t successor)> on_handed_over) {
  Socket socket;
  if (takeover_) {
    socket = takeover_->TakeOffer();
  } else {
    MILLRACE_ASSIGN_OR_RETURN(socket, ListenAt(*settings_.offer, {}));
  }
  auto handed_over = [this, tell = std::move(on_handed_over)](pid_t successor) mutable {
    listeners_.Close();
    tell(successor);
  };
  MILLRACE_ASSIGN_OR_RETURN(handover_,
                            ListenerHandover::Offer(main_, std::move(socket), listeners_,
                                                    {.on_handed_over = std::move(handed_over)}));
  return absl::OkStatus();
}

void Succession::Forget(const SocketAddress& address) {
  listeners_.Drop(address);
  LOG_IF(WARNING, handover_ != nullptr)
      << "the socket at " << address << " is handed to nobody any more";
}

void Succession::End() {
  if (handover_ != nullptr) handover_->Stop();
  listeners_.Close();
}

}  // namespace millrace
