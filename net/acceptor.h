// SPDX-License-Identifier: Apache-2.0
//
// Acceptor listens at one address and hands each accepted socket to a callback. Loop-only; owned by
// whoever wants the connections; destroying it stops listening.
//
//   auto acceptor = Acceptor::Listen(
//       loop, address, {}, [&](Socket socket, const SocketAddress& peer) { ... });
//
// Nothing that a peer or an exhausted machine does ends it. What accept(2) calls an error of the
// one connection is counted and passed over. Out of descriptors or memory, it turns away some of
// those who wait (an old trick: it keeps one descriptor in reserve to accept and reset them with),
// rests for kAcceptRetryDelay, and tries again; the log hears of it once in a while. Only one thing
// ends it: that its socket is no listener any more, for somebody who has a copy of it called
// shutdown(2). It tries once to listen again, which TCP allows, and else stops for good.

#ifndef MILLRACE_NET_ACCEPTOR_H_
#define MILLRACE_NET_ACCEPTOR_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/counters.h"
#include "base/thread_role.h"
#include "base/unique_fd.h"
#include "net/event_loop.h"
#include "net/io_handler.h"
#include "net/limits.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "net/socket_file.h"
#include "net/timer_wheel.h"

namespace millrace {

// Accepted TCP connections inherit these from the listener, so they cost no system call each.
struct ListenOptions {
  int backlog = kListenBacklog;
  bool no_delay = true;  // Small replies go out at once: we gather writes ourselves.
  std::optional<KeepAlive> keep_alive = KeepAlive();  // Finds peers that died without a word.
  // Several sockets may listen at the address, and the kernel spreads connections over them.
  bool reuse_port = false;
};

// A listening socket for `address`, ready for Acceptor::Adopt(). A Unix socket's file that nobody
// listens at any more is replaced. Fails as bind(2) and listen(2) do, naming the address, and what
// is there if it is another kind of file.
absl::StatusOr<Socket> ListenAt(const SocketAddress& address, const ListenOptions& options);

// Sets what accepted connections inherit: on a listener that somebody else made, who may not have.
absl::Status SetInherited(Socket& listener, const ListenOptions& options);

// Written by the acceptor's loop, read by anyone.
struct AcceptCounters {
  Counter accepted;
  Counter errors;   // Connections that were gone before we took them, and the like.
  Counter rests;    // Times it found no descriptor or memory left.
  Counter refused;  // Turned away then.
  Counter failed;   // Listeners that were shut down, and could not be made to listen again.
  // By AcceptorGroup. Refused ones were accepted first, and count as that, too.
  Counter refused_denied, refused_peer_full, refused_full;
  Counter pauses_full, pauses_listener_full, pauses_rate;  // Times a listener began to wait.
};

class Acceptor final : public IoHandler {
 public:
  using OnAccept = absl::AnyInvocable<void(Socket socket, const SocketAddress& peer)>;
  using MayAccept = absl::AnyInvocable<bool()>;
  using OnError = absl::AnyInvocable<void(const absl::Status& error)>;

  static absl::StatusOr<std::unique_ptr<Acceptor>> Listen(EventLoop& loop,
                                                          const SocketAddress& address,
                                                          const ListenOptions& options,
                                                          OnAccept on_accept) LOOP_ONLY;
  // Of a socket that listens already, non-blocking: inherited, or made by ListenAt(). Counts in
  // `counters`, if given, which then must outlive it and belong to the same loop. Removes `file`
  // when it stops; without one, that is left to whoever made the socket.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Adopt(EventLoop& loop, Socket listener,
                                                         OnAccept on_accept,
                                                         AcceptCounters* counters = nullptr,
                                                         SocketFile file = {}) LOOP_ONLY;
  ~Acceptor() override;
  // Closes the socket, and removes the file of a Unix one if that is ours. Legal from inside
  // OnAccept, where destroying the acceptor is not.
  void StopListening() LOOP_ONLY;

  // Where it listens, with the real port.
  const SocketAddress& address() const { return address_; }

  // Hears of each failed accept(2), after it was counted. Must not destroy the acceptor.
  void set_on_error(OnError on_error) LOOP_ONLY { on_error_ = std::move(on_error); }

  // Hears that it has stopped for good. Must not destroy the acceptor.
  void set_on_failed(OnError on_failed) LOOP_ONLY { on_failed_ = std::move(on_failed); }

  // Asked before each accept(2). Should it say no, it also pauses the acceptor, or that would spin.
  void set_may_accept(MayAccept may_accept) LOOP_ONLY { ask_first_ = std::move(may_accept); }

  // Connections wait in the kernel's backlog meanwhile. Neither counts. Pausing is legal from
  // inside OnAccept: then that was the last one.
  void Pause() LOOP_ONLY;
  void Resume() LOOP_ONLY;
  bool paused() const LOOP_ONLY { return paused_; }

  const AcceptCounters& counters() const { return counters_; }

 private:
  Acceptor(EventLoop& loop, Socket listener, SocketAddress address, OnAccept on_accept,
           AcceptCounters* counters, SocketFile file);

  void OnIo(Io ready) override LOOP_ONLY;
  bool may_accept() const LOOP_ONLY;
  bool AcceptOne(bool was_woken) LOOP_ONLY;
  bool Failed(int error) LOOP_ONLY;
  bool FoundNobody(bool was_woken) LOOP_ONLY;
  bool IsNoListener(int error) LOOP_ONLY;
  bool ListenAgain() LOOP_ONLY;
  void AdaptBatch(int accepted) LOOP_ONLY;
  void Rest(int error) LOOP_ONLY;
  void RefuseSome() LOOP_ONLY;
  void UpdateInterest() LOOP_ONLY;

  Socket listener_;
  const SocketAddress address_;
  SocketFile file_;
  OnAccept on_accept_;
  OnError on_error_;
  OnError on_failed_;
  MayAccept ask_first_;
  Registration registration_;
  UniqueFd reserve_;
  Timer rest_timer_;
  int batch_ = 1;         // Accepts to try in a turn.
  int full_batches_ = 0;  // How many in a row found somebody with every try.
  int errors_in_a_row_ = 0;
  bool paused_ = false;
  bool listened_again_ = false;  // And nobody has come by it since.
  AcceptCounters own_counters_;
  AcceptCounters& counters_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_ACCEPTOR_H_
