// SPDX-License-Identifier: Apache-2.0
//
// ListenerHandover offers a server's listening sockets, at a Unix socket, to the process that is to
// come after this one: a new version of the program, say. That takes them (ListenerTakeover),
// serves, and says so; only then this one is told to stop accepting, and drains. At every moment
// somebody listens at the same sockets, so nobody who connects is refused. If the new one dies or
// is late before it is ready, nothing has happened. Loop-only; owned by main().
//
//   MILLRACE_ASSIGN_OR_RETURN(Socket offer, ListenAt(SocketAddress::Unix("/run/echo.next"), {}));
//   auto handover = ListenerHandover::Offer(*loop, std::move(offer), listeners, {
//       .on_handed_over = [&](pid_t) { listeners.Close(); server->Drain(grace, ...); }});
//
// The Unix socket itself goes along, so somebody always listens there, too. It is open to processes
// of the same user and of root; one at a time, others wait. Each step has its time.

#ifndef MILLRACE_NET_RESTART_LISTENER_HANDOVER_H_
#define MILLRACE_NET_RESTART_LISTENER_HANDOVER_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/counters.h"
#include "base/thread_role.h"
#include "net/acceptor.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/limits.h"
#include "net/restart/handover_message.h"
#include "net/restart/listener_set.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/socket_file.h"
#include "net/timer_wheel.h"

namespace millrace {

class ListenerHandover final : public IoHandler {
 public:
  struct Options {
    // Once, when the new process serves. The files of the sockets are its own by now: the listener
    // set has left them.
    absl::AnyInvocable<void(pid_t successor)> on_handed_over = {};
    // Who may have the sockets.
    absl::AnyInvocable<bool(const ucred& peer)> is_trusted = IsOwnOrRoot;
    absl::Duration hello_timeout = kHandoverHelloTimeout;
    absl::Duration ready_timeout = kHandoverReadyTimeout;
  };
  // Written by the loop, read by anyone.
  struct Counters {
    Counter refused;      // Not trusted.
    Counter failed;       // Died, was late, or spoke another language.
    Counter handed_over;  // 0 or 1.
  };

  // Offers `listeners`, at most kListenersMax, at `offer`, which listens already. Both outlive
  // this. The set may drop some meanwhile; it gets no more.
  static absl::StatusOr<std::unique_ptr<ListenerHandover>> Offer(EventLoop& loop, Socket offer,
                                                                 ListenerSet& listeners,
                                                                 Options options) LOOP_ONLY;
  ~ListenerHandover() override;

  // The file of `offer` is ours: removed in the end, unless a new process listens there by then.
  // Not before ListenerTakeover::Finish(), if it came from there.
  void TakeFile() LOOP_ONLY { offer_file_ = SocketFile::Of(acceptor_->address()); }

  // Ends the offer. A process that holds the sockets by now keeps them, and hears that this one is
  // gone: then their files are left.
  void Stop() LOOP_ONLY;

  const Counters& counters() const { return counters_; }

 private:
  enum class Waiting { kForNobody, kForHello, kForReady };

  ListenerHandover(EventLoop& loop, Socket offer, ListenerSet& listeners, Options options);

  void OnIo(Io ready) override LOOP_ONLY;
  void OnTimer() LOOP_ONLY;
  void OnAccept(Socket socket) LOOP_ONLY;
  void OnLine(absl::string_view line) LOOP_ONLY;
  absl::Status SendListeners() LOOP_ONLY;
  void HandOver() LOOP_ONLY;
  void Fail(absl::string_view reason) LOOP_ONLY;
  void EndSession() LOOP_ONLY;
  void LeaveFiles() LOOP_ONLY;

  EventLoop& loop_;
  const Socket offer_;  // The acceptor has a copy: this one goes to the new process.
  SocketFile offer_file_;
  ListenerSet& listeners_;
  Options options_;
  Counters counters_;
  std::unique_ptr<Acceptor> acceptor_;

  // The session with the one process that speaks to us.
  Waiting waiting_ = Waiting::kForNobody;
  Socket peer_;
  pid_t peer_pid_ = 0;
  std::string input_;
  Timer timer_;
  Registration registration_;  // Last: it goes before the socket does.
};

}  // namespace millrace

#endif  // MILLRACE_NET_RESTART_LISTENER_HANDOVER_H_
