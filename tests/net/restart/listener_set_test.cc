// SPDX-License-Identifier: Apache-2.0
#include "net/restart/listener_set.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/peer.h"
#include "tests/support/short_folder.h"

namespace millrace {
namespace {

using Addresses = std::vector<SocketAddress>;
using Listeners = std::vector<ListenerSet::Listener>;

bool HasGuest(const Socket& listener) { return const_cast<Socket&>(listener).Accept().error == 0; }

class ListenerSetTest : public ::testing::Test {
 protected:
  // A listener of another process, as it comes from there.
  static ListenerSet::Listener Had(const SocketAddress& address, ListenOptions options = {}) {
    Socket socket = ListenAt(address, options).value();
    const SocketAddress real = socket.LocalAddress().value();
    return {.socket = std::move(socket), .address = real};
  }
  static ListenerSet::Listener Had() { return Had(any_port_); }
  template <typename... Each>
  static Listeners List(Each... each) {
    Listeners listeners;
    (listeners.push_back(std::move(each)), ...);
    return listeners;
  }

  inline static const SocketAddress any_port_ = SocketAddress::Loopback(0);
  ShortFolder folder_;
  const SocketAddress unix_ = folder_.Unix("socket");
};

TEST_F(ListenerSetTest, BindsWhatIsWanted) {
  const ListenerSet set = ListenerSet::At({any_port_, unix_}, {}, {}).value();
  ASSERT_EQ(set.addresses().size(), 2u);
  EXPECT_NE(set.addresses()[0].port(), 0);
  EXPECT_EQ(set.addresses()[1], unix_);
  Peer tcp = Peer::ConnectedTo(set.addresses()[0]);
  EXPECT_TRUE(HasGuest(set.listeners()[0].socket));
}

TEST_F(ListenerSetTest, AnAddressThatIsTakenIsAnErrorThatNamesIt) {
  const ListenerSet set = ListenerSet::At({any_port_}, {}, {}).value();
  const absl::Status status = ListenerSet::At({set.addresses()[0]}, {}, {}).status();
  EXPECT_EQ(status.code(), absl::ErrnoToStatusCode(EADDRINUSE));
  EXPECT_NE(std::string(status.message()).find(set.addresses()[0].ToString()), std::string::npos);
}

TEST_F(ListenerSetTest, KeepsWhatIsHadAndWantedInTheOrderWanted) {
  ListenerSet::Listener a = Had(), b = Had();
  const Addresses wanted = {b.address, a.address};
  const int fd = a.socket.fd();
  const ListenerSet set = ListenerSet::At(wanted, List(std::move(a), std::move(b)), {}).value();
  EXPECT_EQ(set.addresses(), wanted);
  EXPECT_EQ(set.listeners()[1].socket.fd(), fd) << "the same socket";
}

TEST_F(ListenerSetTest, WantedMoreIsBoundAnew) {
  ListenerSet::Listener a = Had();
  const SocketAddress address = a.address;
  const ListenerSet set = ListenerSet::At({address, any_port_}, List(std::move(a)), {}).value();
  ASSERT_EQ(set.addresses().size(), 2u);
  EXPECT_EQ(set.addresses()[0], address);
  EXPECT_NE(set.addresses()[1], address);
}

TEST_F(ListenerSetTest, WantedFewerIsClosedWhenTheRestIsTaken) {
  ListenerSet::Listener a = Had(), b = Had(unix_);
  const SocketAddress address = a.address;
  ListenerSet set = ListenerSet::At({address}, List(std::move(a), std::move(b)), {}).value();
  EXPECT_EQ(set.addresses(), Addresses{address});
  Peer waiting = Peer::ConnectedTo(unix_);
  set.TakeFiles();
  EXPECT_EQ(waiting.ReceiveAll(), "");
  EXPECT_FALSE(folder_.Has("socket"));
}

TEST_F(ListenerSetTest, PortZeroIsMetByAnyPortButNobodyElses) {
  ListenerSet::Listener a = Had(), b = Had();
  const Addresses both = {b.address, a.address};
  const ListenerSet set =
      ListenerSet::At({any_port_, a.address}, List(std::move(a), std::move(b)), {}).value();
  EXPECT_EQ(set.addresses(), both);
}

TEST_F(ListenerSetTest, PortZeroTwiceIsTwoPorts) {
  ListenerSet::Listener a = Had();
  const SocketAddress address = a.address;
  const ListenerSet set = ListenerSet::At({any_port_, any_port_}, List(std::move(a)), {}).value();
  ASSERT_EQ(set.addresses().size(), 2u);
  EXPECT_EQ(set.addresses()[0], address);
}

TEST_F(ListenerSetTest, APortOfAnotherAddressDoesNotDo) {
  ListenerSet::Listener any = Had(SocketAddress::Any(0));
  const ListenerSet set = ListenerSet::At({any_port_}, List(std::move(any)), {}).value();
  EXPECT_FALSE(set.addresses()[0].is_any());
}

TEST_F(ListenerSetTest, AllSocketsOfAnAddressAreKept) {
  const ListenOptions reuse = {.reuse_port = true};
  ListenerSet::Listener a = Had(any_port_, reuse), b = Had(a.address, reuse);
  const Addresses wanted = {a.address};
  for (const bool by_number : {true, false}) {
    Listeners copies;
    for (const ListenerSet::Listener* each : {&a, &b}) {
      UniqueFd fd(dup(each->socket.fd()));
      copies.push_back({.socket = Socket(std::move(fd)), .address = each->address});
    }
    const ListenerSet set =
        ListenerSet::At(by_number ? wanted : Addresses{any_port_}, std::move(copies), {}).value();
    EXPECT_EQ(set.listeners().size(), 2u);
    EXPECT_EQ(set.addresses(), wanted) << "told once";
  }
}

TEST_F(ListenerSetTest, ConnectionsInheritWhatTheirMakerDidNotSet) {
  ListenerSet::Listener bare = Had(any_port_, {.no_delay = false, .keep_alive = std::nullopt});
  const ListenerSet set = ListenerSet::Of(List(std::move(bare)), {}).value();
  int on = 0;
  socklen_t bytes = sizeof(on);
  ASSERT_EQ(getsockopt(set.listeners()[0].socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, &bytes), 0);
  EXPECT_EQ(on, 1);
}

TEST_F(ListenerSetTest, NoSocketsAreNoSet) {
  EXPECT_TRUE(absl::IsInvalidArgument(ListenerSet::Of({}, {}).status()));
}

TEST_F(ListenerSetTest, CopiesListenWhenTheOriginalsAreClosed) {
  ListenerSet set = ListenerSet::At({any_port_}, {}, {}).value();
  const SocketAddress address = set.addresses()[0];
  std::vector<Socket> copies = set.Copies().value();
  set.Close();
  Peer peer = Peer::ConnectedTo(address);
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_TRUE(HasGuest(copies[0]));
  EXPECT_EQ(fcntl(copies[0].fd(), F_GETFD), FD_CLOEXEC);
}

TEST_F(ListenerSetTest, WithoutDescriptorsThereAreNoCopies) {
  const ListenerSet set = ListenerSet::At({any_port_}, {}, {}).value();
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const absl::Cleanup restore = [limit] { setrlimit(RLIMIT_NOFILE, &limit); };
  rlimit none = limit;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_FALSE(set.Copies().ok());
}

// --- Files ---

TEST_F(ListenerSetTest, WhatItBoundItRemoves) {
  { const ListenerSet set = ListenerSet::At({unix_}, {}, {}).value(); }
  EXPECT_FALSE(folder_.Has("socket"));
  ListenerSet set = ListenerSet::At({unix_}, {}, {}).value();
  set.Close();
  EXPECT_FALSE(folder_.Has("socket"));
}

TEST_F(ListenerSetTest, WhatItBoundIsNotTakenTwice) {
  ListenerSet set = ListenerSet::At({unix_}, {}, {}).value();
  set.TakeFiles();
  EXPECT_TRUE(folder_.Has("socket"));
  set.TakeFiles();
  EXPECT_TRUE(folder_.Has("socket"));
}

TEST_F(ListenerSetTest, WhatIsLeftStays) {
  ListenerSet set = ListenerSet::At({unix_}, {}, {}).value();
  set.LeaveFiles();
  set.Close();
  EXPECT_TRUE(folder_.Has("socket"));
  folder_.Remove("socket");
}

TEST_F(ListenerSetTest, WhatItHadIsNotItsOwnBeforeItIsTaken) {
  { const ListenerSet set = ListenerSet::At({unix_}, List(Had(unix_)), {}).value(); }
  EXPECT_TRUE(folder_.Has("socket"));
  ListenerSet set = ListenerSet::At({unix_}, List(Had(unix_)), {}).value();
  set.TakeFiles();
  set.Close();
  EXPECT_FALSE(folder_.Has("socket"));
}

TEST_F(ListenerSetTest, WhatIsLentStays) {
  ListenerSet::Listener lent = Had(unix_);
  lent.lent = true;
  ListenerSet set = ListenerSet::Of(List(std::move(lent)), {}).value();
  set.TakeFiles();
  set.Close();
  EXPECT_TRUE(folder_.Has("socket"));
  folder_.Remove("socket");
}

TEST_F(ListenerSetTest, DropsASocketWithItsFile) {
  ListenerSet set = ListenerSet::At({any_port_, unix_}, {}, {}).value();
  const SocketAddress kept = set.addresses()[0];
  set.Drop(unix_);
  EXPECT_EQ(set.addresses(), Addresses{kept});
  EXPECT_FALSE(folder_.Has("socket"));
  set.Drop(unix_);
  EXPECT_EQ(set.addresses(), Addresses{kept});
}

TEST_F(ListenerSetTest, LeavesTheFileOfADroppedOneThatWasLent) {
  ListenerSet::Listener lent = Had(unix_);
  lent.lent = true;
  ListenerSet set = ListenerSet::Of(List(std::move(lent), Had()), {}).value();
  set.Drop(unix_);
  EXPECT_EQ(set.listeners().size(), 1u);
  EXPECT_TRUE(folder_.Has("socket"));
  folder_.Remove("socket");
}

TEST_F(ListenerSetTest, OfSeveralAtAnAddressItDropsThoseThatAreShutDown) {
  const ListenOptions shared = {.reuse_port = true};
  ListenerSet::Listener first = Had(any_port_, shared);
  const SocketAddress address = first.address;
  ListenerSet::Listener second = Had(address, shared);
  const int fd = first.socket.fd();
  ASSERT_EQ(shutdown(second.socket.fd(), SHUT_RDWR), 0);
  ListenerSet set =
      ListenerSet::At({address}, List(std::move(first), std::move(second)), {}).value();
  set.Drop(address);
  ASSERT_EQ(set.listeners().size(), 1u);
  EXPECT_EQ(set.listeners()[0].socket.fd(), fd);
}

}  // namespace
}  // namespace millrace
