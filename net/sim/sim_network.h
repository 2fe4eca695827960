// SPDX-License-Identifier: Apache-2.0
//
// SimNetwork is the kernel and the wires of a simulation: sockets, listeners, bytes under way,
// eventfds. While one is installed on a thread, the system calls that net/ makes there come here
// (see system_calls.cc), and answer as the man pages say, with the faults that SimFaults asks for.
// Everything is drawn from one Random: the same seed gives the same run. Owned by the Simulation;
// its thread's only.
//
// What is simulated: TCP, IPv4 and IPv6, in order and without loss within a connection, unless it
// is reset or lost as a whole. A peer that closes with input unread resets, as Linux does. Unix
// sockets, signals, and descriptors of files are not simulated; files are read from the machine.

#ifndef MILLRACE_NET_SIM_SIM_NETWORK_H_
#define MILLRACE_NET_SIM_SIM_NETWORK_H_

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "net/poller.h"
#include "net/sim/sim_clock.h"
#include "net/sim/sim_faults.h"
#include "net/socket_address.h"

namespace millrace {

class SimNetwork {
 public:
  // Numbers of simulated descriptors begin here, far above all real ones.
  static constexpr int kFirstFd = 1 << 24;
  // The system's own choices of a port begin here, and there again when they are used up.
  static constexpr uint16_t kFirstPort = 40000;

  SimNetwork(SimClock& clock, Random& random) : clock_(clock), random_(random) {}
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // The one that this thread's calls come to, or null.
  static SimNetwork* Current();
  static void Install(SimNetwork* network);

  void set_faults(const SimFaults& faults) { faults_ = faults; }
  const SimFaults& faults() const { return faults_; }
  // Sockets and eventfds that may be open: EMFILE above.
  void set_descriptors_max(size_t max) { descriptors_max_ = max; }
  size_t open_descriptors() const { return open_; }

  // As the system calls of these names: -1 and errno if they fail.
  int Socket(int family);
  int EventFd(unsigned int count);
  int Bind(int fd, const sockaddr* address, socklen_t bytes);
  int Listen(int fd, int backlog);
  int Accept(int fd, sockaddr* peer, socklen_t* bytes);
  int Connect(int fd, const sockaddr* address, socklen_t bytes);
  ssize_t Receive(int fd, void* into, size_t bytes);
  ssize_t Send(int fd, absl::Span<const iovec> from);
  ssize_t SendFile(int fd, int file, off_t* offset, size_t count);
  ssize_t ReadEvent(int fd, void* into, size_t bytes);
  ssize_t WriteEvent(int fd, const void* from, size_t bytes);
  int Shutdown(int fd);
  int SetOption(int fd, int level, int option, const void* value, socklen_t bytes);
  int GetOption(int fd, int level, int option, void* value, socklen_t* bytes);
  int LocalName(int fd, sockaddr* address, socklen_t* bytes);
  int PeerName(int fd, sockaddr* address, socklen_t* bytes);
  int Close(int fd);
  void FillRandom(void* into, size_t bytes);

  // For the poller. A hang-up or an error is both.
  Io Ready(int fd) const;
  bool IsHungUp(int fd) const;
  bool IsOpen(int fd) const { return Find(fd) != nullptr; }
  bool Chance(double chance) { return chance > 0 && random_.Unit() < chance; }
  // The same, of a fault, which is counted.
  bool Happens(double SimFaults::*fault);
  // How often each fault has happened, in the place of its chance.
  const SimFaults& met() const { return met_; }
  // How often EMFILE was the answer.
  int64_t descriptors_refused() const { return descriptors_refused_; }
  Random& random() { return random_; }

  // Nothing reaches either end of this connection any more, and nobody is told.
  void Lose(int fd);

  // Is told of all that sockets read and send from now on, as soon as the call has done it.
  struct Transfer {
    const SocketAddress& local;
    const SocketAddress& peer;
    bool reads = false;  // Else it sends.
    size_t bytes = 0;
  };
  using OnTransfer = absl::AnyInvocable<void(const Transfer& transfer)>;
  void set_on_transfer(OnTransfer on_transfer) { on_transfer_ = std::move(on_transfer); }

  // When the next thing arrives that is under way.
  MonotonicTime NextEvent() const;
  // Delivers what has arrived by now; whether there was anything.
  bool DeliverDue();

  // What has happened so far, as one number: two runs that differ anywhere differ in it.
  uint64_t trace_hash() const { return trace_hash_; }
  // Writes each event to stderr, from now on.
  void set_trace(bool on) { trace_ = on; }
  bool trace() const { return trace_; }
  // Adds to that what others than the network do.
  void Note(absl::string_view what, uint64_t number);

 private:
  using Id = uint64_t;  // Of a socket: its place in sockets_, never used again. 0 is none.

  enum class State : uint8_t { kNew, kListening, kConnecting, kOpen, kReset, kEventFd };

  struct SimSocket {
    State state = State::kNew;
    int family = AF_INET;
    Id id = 0;
    int fd = -1;  // None until accepted.
    SocketAddress local, peer;
    bool bound = false, only_ipv6 = false, reuse_port = false;
    int error = 0;  // SO_ERROR.

    std::deque<Id> waiting;  // To be accepted.
    size_t backlog = 0;

    Id other = 0;          // At the other end; may be gone.
    std::string received;  // Arrived, and not read.
    bool end_received = false, write_ended = false, resets_on_close = false, lost = false;
    size_t window = 0, under_way = 0;  // Sent, and not known to be read.
    MonotonicTime last_arrival;        // Of what was sent: what comes later arrives later.

    uint64_t count = 0;  // Of an eventfd.
  };

  struct Event {
    enum Kind : uint8_t { kSyn, kConnected, kRefused, kBytes, kEnd, kReset, kAck, kTimedOut };
    MonotonicTime at;
    uint64_t number;  // Of two at the same time, the older one is first.
    Kind kind;
    Id to, from;
    std::string bytes;
    size_t count;

    bool IsAfter(const Event& other) const {
      return at != other.at ? at > other.at : number > other.number;
    }
  };

  SimSocket& Make(State state, int family);
  int GiveFd(SimSocket& socket);
  SimSocket* Find(int fd) const;
  SimSocket* FindId(Id id) const { return id < sockets_.size() ? sockets_[id].get() : nullptr; }
  SimSocket* FindSocket(int fd);  // Null and errno if it is none.
  bool HasDescriptor();
  static int Fail(int error);
  bool Interferes();
  size_t PartOf(size_t bytes);

  int FailAccept(SimSocket& listener);
  ssize_t ReceiveNothing(SimSocket& socket);
  static int WhyNotSend(SimSocket& socket);

  void Mix(absl::string_view what, uint64_t a, uint64_t b);
  void Print(absl::string_view line);
  static std::string Describe(const SimSocket& socket);
  void NoteOf(const SimSocket& socket, absl::string_view what);
  void NoteOf(const SimSocket& socket, absl::string_view what, uint64_t number,
              absl::string_view unit = "");

  absl::Duration Delay();
  SocketAddress AddressOfClient(int family);
  uint16_t TakePort();
  static int GiveName(const SocketAddress& name, sockaddr* address, socklen_t* bytes);
  static bool Covers(const SimSocket& socket, const SocketAddress& address);
  bool IsTaken(const SimSocket& socket) const;
  int BindToLocal(SimSocket& socket);
  int BindToAnyPort(SimSocket& socket);
  SimSocket* FindListener(const SocketAddress& address);
  SimSocket& Establish(SimSocket& client);
  void SendSegment(SimSocket& from, std::string bytes);
  void SendEnd(SimSocket& from);
  void SendReset(Id from, Id to, MonotonicTime not_after);
  ssize_t Queue(SimSocket& socket, std::string bytes);
  void TellTransfer(const SimSocket& socket, bool reads, size_t bytes);
  void CloseListener(SimSocket& socket);

  void Schedule(Event::Kind kind, MonotonicTime at, Id to, Id from, std::string bytes = {},
                size_t count = 0);
  void Deliver(Event event);
  void DeliverSyn(const Event& event);
  void DeliverBytes(SimSocket* to, Event& event);
  static void DeliverEnd(SimSocket* to);
  static void Connected(SimSocket& client);
  static void BreakConnection(SimSocket& socket);

  SimClock& clock_;
  Random& random_;
  SimFaults faults_;
  SimFaults met_;
  int64_t descriptors_refused_ = 0;
  size_t descriptors_max_ = SIZE_MAX;
  std::vector<std::unique_ptr<SimSocket>> sockets_ = std::vector<std::unique_ptr<SimSocket>>(1);
  std::vector<Id> fds_;  // By number, less kFirstFd; 0 is free.
  size_t open_ = 0;
  uint16_t next_port_ = kFirstPort;
  std::vector<Event> events_;  // A heap.
  uint64_t events_so_far_ = 0;
  uint64_t trace_hash_ = 0;
  bool trace_ = false;
  OnTransfer on_transfer_;
};

}  // namespace millrace

#endif  // MILLRACE_NET_SIM_SIM_NETWORK_H_
