// SPDX-License-Identifier: Apache-2.0
//
// What the peers share, so that they differ in their library only: flags, the listener and what is
// printed. For main() of a program with one thread, before its loop runs. Needs nothing but the
// system's headers; benchmarks/compare.py compiles each peer with one call of g++.
//
//   const peer::Flags flags = peer::ParseFlags(argc, argv);
//   const int listener = peer::Listen(flags);   // The caller's; its library adopts it.
//
// Connections inherit TCP_NODELAY from the listener, which saves each server a call for each.

#ifndef MILLRACE_BENCHMARKS_PEERS_PEER_MAIN_H_
#define MILLRACE_BENCHMARKS_PEERS_PEER_MAIN_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace peer {

// Of connections that wait to be accepted; the kernel lowers it to its own bound.
inline constexpr int kBacklog = 65'536;

struct Flags {
  uint16_t port = 0;    // 0: a free one.
  bool framed = false;  // Requests of frames.h, and a reply to each; else an echo.
  bool joined = false;  // Framed, with the replies to what one read brought in one send.
};

[[noreturn]] inline void Fail(const char* what, const char* why) {
  std::fprintf(stderr, "%s: %s\n", what, why);
  std::exit(1);
}

inline Flags ParseFlags(int argc, char** argv) {
  constexpr std::string_view kPort = "--port=";
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag.substr(0, kPort.size()) == kPort) {
      const char* const end = flag.data() + flag.size();
      const auto [rest, error] = std::from_chars(flag.data() + kPort.size(), end, flags.port);
      if (error != std::errc() || rest != end) Fail(argv[i], "not a port");
    } else if (flag == "--framed") {
      flags.framed = true;
    } else if (flag == "--joined") {
      flags.joined = true;
    } else {
      Fail(argv[i], "no such flag; there are --port=N, --framed and, of raw_epoll, --joined");
    }
  }
  return flags;
}

// As many connections as the system lets us have.
inline void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Returns a listener that does not block, and has said where it is.
inline int Listen(const Flags& flags) {
  signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) Fail("socket", std::strerror(errno));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(flags.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, any, size) != 0) Fail("bind", std::strerror(errno));
  if (listen(fd, kBacklog) != 0) Fail("listen", std::strerror(errno));
  if (getsockname(fd, any, &size) != 0) Fail("getsockname", std::strerror(errno));
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

}  // namespace peer

#endif  // MILLRACE_BENCHMARKS_PEERS_PEER_MAIN_H_
