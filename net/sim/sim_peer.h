// SPDX-License-Identifier: Apache-2.0
//
// SimPeer is somebody at the other end of a simulated network, scripted by a test line by line: it
// may be slow, rude, or gone. It has no loop: each call runs the whole simulation until it is done,
// for a minute of simulated time at most. Owned by the test; must go before the Simulation.
//
//   SimPeer alice(sim, address);
//   EXPECT_TRUE(alice.Send("/nick alice\n"));
//   EXPECT_EQ(alice.ReadLine(), "* you are alice\n");
//   alice.Vanish();                                     // The cable is cut: nobody is told.

#ifndef MILLRACE_NET_SIM_SIM_PEER_H_
#define MILLRACE_NET_SIM_SIM_PEER_H_

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "net/sim/simulation.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace millrace {

class SimPeer {
 public:
  // Connects, or gives up: see connected().
  SimPeer(Simulation& sim, const SocketAddress& server);

  bool connected() const { return connected_; }
  // Where it is seen to come from.
  SocketAddress address() const { return socket_.LocalAddress().value(); }

  // Until all is sent; false if the connection is broken, or nobody takes it.
  bool Send(absl::string_view bytes);
  // The next line with its LF; without one, what came before the end or the minute was over.
  std::string ReadLine();
  // The next `count` bytes, or as many as came.
  std::string Read(size_t count);
  // All that comes until the end, which must come within a minute: see ended().
  std::string ReadToEnd();

  // What it has heard so far: the server's end in good order, or that the connection is broken.
  bool ended() const { return ended_; }
  bool broken() const { return broken_; }

  void EndOutput() { socket_.ShutdownWrite(); }
  void Close() { socket_ = Socket(); }
  void Reset();
  // From now on nothing reaches the server, and nothing comes.
  void Vanish() { sim_.network().Lose(socket_.fd()); }

 private:
  bool WaitFor(Io io);
  bool Fill();
  std::string Take(size_t count);

  Simulation& sim_;
  Socket socket_;
  std::string received_;
  bool connected_ = false, ended_ = false, broken_ = false;
};

}  // namespace millrace

#endif  // MILLRACE_NET_SIM_SIM_PEER_H_
