// SPDX-License-Identifier: Apache-2.0
//
// The echo server on libevent: a bufferevent for each connection, whose input is moved to its
// output without a copy. Libevent queues what is sent, and writes it in its next pass: so replies
// to pipelined requests are joined.

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <string_view>

#include "benchmarks/peers/frames.h"
#include "benchmarks/peers/peer_main.h"

namespace {

// Version 2.1 reads no more than 4 KiB at once, whatever is set here; 2.2 heeds it.
constexpr size_t kReadBytesMax = 256 << 10;
constexpr size_t kWriteBytesMax = 1 << 20;
// From here on we do not read what the peer sends, until it has taken all of ours.
constexpr size_t kUnsentBytesHigh = 1 << 20;

struct Server {
  peer::Flags flags;
  event_base* base;
};

void OnRead(bufferevent* connection, void* argument);
void OnEvent(bufferevent* connection, short what, void* argument);

void OnDrained(bufferevent* connection, void* argument) {
  bufferevent_setcb(connection, OnRead, nullptr, OnEvent, argument);
  bufferevent_enable(connection, EV_READ);
}

void OnLastWritten(bufferevent* connection, void*) { bufferevent_free(connection); }

// False: there is a bad one.
bool AnswerFrames(evbuffer* input, evbuffer* output) {
  std::array<char, peer::kPrefixBytes> prefix;
  while (true) {
    const ev_ssize_t copied = evbuffer_copyout(input, prefix.data(), prefix.size());
    const size_t frame_bytes =
        peer::FrameBytes({prefix.data(), copied < 0 ? 0 : static_cast<size_t>(copied)});
    if (frame_bytes == peer::kBadFrame) return false;
    if (frame_bytes == 0 || frame_bytes > evbuffer_get_length(input)) return true;
    evbuffer_remove_buffer(input, output, frame_bytes);
  }
}

void OnRead(bufferevent* connection, void* argument) {
  evbuffer* const input = bufferevent_get_input(connection);
  evbuffer* const output = bufferevent_get_output(connection);
  if (!static_cast<Server*>(argument)->flags.framed) {
    evbuffer_add_buffer(output, input);
  } else if (!AnswerFrames(input, output)) {
    return bufferevent_free(connection);
  }
  if (evbuffer_get_length(output) < kUnsentBytesHigh) return;
  bufferevent_disable(connection, EV_READ);
  bufferevent_setcb(connection, OnRead, OnDrained, OnEvent, argument);
}

// The peer's end, or an error. What came before its end is sent first.
void OnEvent(bufferevent* connection, short what, void* argument) {
  const bool ended = (what & BEV_EVENT_EOF) != 0;
  if (!ended || evbuffer_get_length(bufferevent_get_output(connection)) == 0) {
    return bufferevent_free(connection);
  }
  bufferevent_disable(connection, EV_READ);
  bufferevent_setcb(connection, nullptr, OnLastWritten, OnEvent, argument);
}

void OnAccept(evconnlistener*, evutil_socket_t fd, sockaddr*, int, void* argument) {
  auto* const server = static_cast<Server*>(argument);
  bufferevent* const connection = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
  if (connection == nullptr) return static_cast<void>(evutil_closesocket(fd));
  bufferevent_set_max_single_read(connection, kReadBytesMax);
  bufferevent_set_max_single_write(connection, kWriteBytesMax);
  bufferevent_setcb(connection, OnRead, nullptr, OnEvent, server);
  bufferevent_enable(connection, EV_READ | EV_WRITE);
}

void OnSignal(evutil_socket_t, short, void* base) {
  event_base_loopbreak(static_cast<event_base*>(base));
}

// One thread, so no locks; and no descriptor is watched twice, so changes may be collected.
event_base* MakeBase() {
  event_config* const config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
  event_base* const base = event_base_new_with_config(config);
  event_config_free(config);
  if (base == nullptr) peer::Fail("event_base_new_with_config", "no base");
  return base;
}

}  // namespace

int main(int argc, char** argv) {
  Server server = {peer::ParseFlags(argc, argv), MakeBase()};
  event* const end = evsignal_new(server.base, SIGTERM, OnSignal, server.base);
  event* const interrupt = evsignal_new(server.base, SIGINT, OnSignal, server.base);
  event_add(end, nullptr);
  event_add(interrupt, nullptr);
  evconnlistener* const listener = evconnlistener_new(
      server.base, OnAccept, &server, LEV_OPT_CLOSE_ON_FREE, 0, peer::Listen(server.flags));
  event_base_dispatch(server.base);
  evconnlistener_free(listener);
  event_free(end);
  event_free(interrupt);
  event_base_free(server.base);
}
