// SPDX-License-Identifier: Apache-2.0
//
// What Socket does when all goes its way, and when peers and addresses do not. What it does when
// the system fails it is in socket_fault_test.cc.
#include "net/socket.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/io_result.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

void ExpectOk(const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; }

// Sleeps, for as long as it takes, until something happens at `socket`.
void Await(const Socket& socket, short events) {
  pollfd polled = {.fd = socket.fd(), .events = events, .revents = 0};
  ASSERT_EQ(poll(&polled, 1, -1), 1);
}

iovec Piece(std::string& bytes) { return {bytes.data(), bytes.size()}; }

// Reads until there are `count` bytes.
std::string ReadExactly(Socket& socket, size_t count) {
  std::string all;
  while (all.size() < count) {
    Await(socket, POLLIN);
    std::string bytes(count - all.size(), '\0');
    const IoResult result = socket.Read(absl::MakeSpan(bytes));
    if (result.kind() != IoResult::kDone) {
      ADD_FAILURE() << "ended after " << all.size() << " bytes: " << result;
      break;
    }
    all.append(bytes, 0, result.bytes());
  }
  return all;
}

// Writes until the socket takes no more, and returns how much it took.
size_t Fill(Socket& socket) {
  const std::string bytes(65536, 'x');
  size_t total = 0;
  while (true) {
    const IoResult result = socket.Write(bytes);
    EXPECT_TRUE(result.ok()) << result;
    if (result.kind() != IoResult::kDone) return total;
    total += result.bytes();
  }
}

// Writes until that fails, as it must since the peer is gone, and returns how.
absl::Status WriteUntilError(Socket& socket) {
  while (true) {
    const IoResult result = socket.Write("x");
    if (!result.ok()) return result.status();
    if (result.kind() == IoResult::kWantWrite) Await(socket, POLLOUT);
  }
}

int GetInt(const Socket& socket, int level, int option) {
  int value = -1;
  socklen_t bytes = sizeof(value);
  EXPECT_EQ(getsockopt(socket.fd(), level, option, &value, &bytes), 0);
  return value;
}

void ExpectNonBlockingAndNotInherited(const Socket& socket) {
  EXPECT_TRUE(fcntl(socket.fd(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC);
}

UniqueFd MakeFile(const std::string& content) {
  UniqueFd file(memfd_create("socket_test", MFD_CLOEXEC));
  EXPECT_EQ(write(file.get(), content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  return file;
}

Socket ListenOn(const SocketAddress& address) {
  Socket listener = Socket::CreateFor(address).value();
  ExpectOk(listener.Bind(address));
  ExpectOk(listener.Listen(16));
  return listener;
}

Socket::Accepted AcceptFrom(Socket& listener) {
  Await(listener, POLLIN);
  return listener.Accept();
}

Socket ConnectTo(const SocketAddress& address) {
  Socket socket = Socket::CreateFor(address).value();
  const absl::StatusOr<IoResult> result = socket.Connect(address);
  ExpectOk(result.status());
  if (result->kind() == IoResult::kWantWrite) Await(socket, POLLOUT);
  ExpectOk(socket.TakeError());
  return socket;
}

// Every kind of stream there is, over each kind of address. Paths are relative to a folder of the
// test's own, as the full ones may be longer than Unix sockets have room for.
class SocketStreamTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_EQ(chdir(::testing::TempDir().c_str()), 0);
    unlink("stream.sock");
    signal(SIGPIPE, SIG_DFL);  // To die of one, if there is one.
    std::string name = GetParam();
    if (name == "unix:@") name = absl::StrCat("unix:@socket_test-", getpid());
    const SocketAddress address = SocketAddress::Parse(name).value();
    listener_ = Socket::CreateFor(address).value();
    const absl::Status bound = listener_.Bind(address);
    if (!bound.ok() && address.family() == AF_INET6) GTEST_SKIP() << bound;
    ExpectOk(bound);
    ExpectOk(listener_.Listen(16));
    near_ = ConnectTo(listener_.LocalAddress().value());
    Socket::Accepted accepted = AcceptFrom(listener_);
    far_ = std::move(accepted.socket);
    far_peer_ = accepted.peer;
  }

  bool is_tcp() const { return !listener_.LocalAddress().value().is_unix(); }

  Socket listener_, near_, far_;
  SocketAddress far_peer_;
};

TEST_P(SocketStreamTest, BytesCrossInOrder) {
  EXPECT_EQ(near_.Write("ping"), (IoResult{IoResult::kDone, 4}));
  EXPECT_EQ(ReadExactly(far_, 4), "ping");
  EXPECT_EQ(far_.Write("pong!"), (IoResult{IoResult::kDone, 5}));
  EXPECT_EQ(ReadExactly(near_, 5), "pong!");
}

TEST_P(SocketStreamTest, PiecesAreGathered) {
  std::string out[] = {"one,", "two,", "three"};
  EXPECT_EQ(near_.Write({Piece(out[0]), Piece(out[1]), Piece(out[2])}),
            (IoResult{IoResult::kDone, 13}));
  EXPECT_EQ(ReadExactly(far_, 13), "one,two,three");
}

TEST_P(SocketStreamTest, MorePiecesThanTheSystemTakesAreDoneInPart) {
  std::string byte = "x";
  const std::vector<iovec> pieces(IOV_MAX + 10, Piece(byte));
  EXPECT_EQ(near_.Write(pieces), (IoResult{IoResult::kDone, IOV_MAX}));
  ReadExactly(far_, IOV_MAX - 1);
  std::string room(2, '\0');
  EXPECT_EQ(far_.Read(absl::MakeSpan(room)), (IoResult{IoResult::kDone, 1}));
}

TEST_P(SocketStreamTest, EmptyWantsReadFullWantsWrite) {
  std::string room(1, '\0');
  EXPECT_EQ(near_.Read(absl::MakeSpan(room)), IoResult{IoResult::kWantRead});
  const size_t written = Fill(near_);
  EXPECT_GT(written, 0u);
  EXPECT_EQ(near_.Write({Piece(room), Piece(room)}), IoResult{IoResult::kWantWrite});
  EXPECT_EQ(ReadExactly(far_, written), std::string(written, 'x'));
}

TEST_P(SocketStreamTest, HalfCloseEndsOneDirectionOnly) {
  EXPECT_EQ(near_.Write("last words"), (IoResult{IoResult::kDone, 10}));
  EXPECT_EQ(near_.ShutdownWrite(), IoResult{});
  EXPECT_EQ(ReadExactly(far_, 10), "last words");
  Await(far_, POLLIN);
  std::string room(1, '\0');
  EXPECT_EQ(far_.Read(absl::MakeSpan(room)), IoResult{IoResult::kEnd});
  EXPECT_EQ(far_.Read(absl::MakeSpan(room)), IoResult{IoResult::kEnd}) << "from then on";
  EXPECT_EQ(far_.Write("answer"), (IoResult{IoResult::kDone, 6}));
  EXPECT_EQ(ReadExactly(near_, 6), "answer");
}

TEST_P(SocketStreamTest, WritingAfterHalfCloseIsAnErrorNotASignal) {
  EXPECT_EQ(near_.ShutdownWrite(), IoResult{});
  std::string bytes = "x";
  const absl::Status one = near_.Write(bytes).status();
  EXPECT_EQ(one.message(), "send: Broken pipe");
  const absl::Status two = near_.Write({Piece(bytes), Piece(bytes)}).status();
  EXPECT_EQ(two.message(), "send: Broken pipe");
  const UniqueFd file = MakeFile("x");
  const absl::Status sent = near_.SendFile(file.get(), 0, 1).status();
  EXPECT_EQ(sent.message(), "sendfile: Broken pipe");
  // Nor is a signal left waiting for a thread that looks again.
  sigset_t pending;
  sigpending(&pending);
  EXPECT_FALSE(sigismember(&pending, SIGPIPE));
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  EXPECT_FALSE(sigismember(&blocked, SIGPIPE));
}

TEST_P(SocketStreamTest, ClosedPeerEndsReadingAndBreaksWriting) {
  far_ = Socket();
  Await(near_, POLLIN);
  std::string room(1, '\0');
  EXPECT_EQ(near_.Read(absl::MakeSpan(room)), IoResult{IoResult::kEnd});
  EXPECT_THAT(WriteUntilError(near_).message(), StartsWith("send: "));
}

TEST_P(SocketStreamTest, PeerThatClosesWithBytesUnreadResets) {
  EXPECT_EQ(near_.Write("never read"), (IoResult{IoResult::kDone, 10}));
  Await(far_, POLLIN);
  far_ = Socket();
  Await(near_, POLLIN);
  std::string room(1, '\0');
  EXPECT_EQ(near_.Read(absl::MakeSpan(room)).status().message(), "recv: Connection reset by peer");
}

TEST_P(SocketStreamTest, ResetIsTheErrorThatIsTakenOnce) {
  if (!is_tcp()) GTEST_SKIP() << "Unix sockets know no reset on purpose";
  ExpectOk(near_.TakeError());
  far_.ResetOnClose();
  far_ = Socket();
  Await(near_, POLLIN);
  EXPECT_EQ(near_.TakeError().message(), "socket error: Connection reset by peer");
  ExpectOk(near_.TakeError());
}

TEST_P(SocketStreamTest, FileIsSentFromItsOffset) {
  const UniqueFd file = MakeFile("0123456789");
  EXPECT_EQ(near_.SendFile(file.get(), 3, 4), (IoResult{IoResult::kDone, 4}));
  EXPECT_EQ(ReadExactly(far_, 4), "3456");
  EXPECT_EQ(lseek(file.get(), 0, SEEK_CUR), 10) << "the file's own position stays";
}

TEST_P(SocketStreamTest, FileThatWasCutEnds) {
  const UniqueFd file = MakeFile("0123456789");
  EXPECT_EQ(near_.SendFile(file.get(), 8, 100), (IoResult{IoResult::kDone, 2}));
  EXPECT_EQ(near_.SendFile(file.get(), 10, 90), IoResult{IoResult::kEnd});
  EXPECT_EQ(near_.SendFile(-1, 0, 1).status().message(), "sendfile: Bad file descriptor");
}

TEST_P(SocketStreamTest, FileWaitsForRoom) {
  const UniqueFd file = MakeFile("0123456789");
  Fill(near_);
  EXPECT_EQ(near_.SendFile(file.get(), 0, 10), IoResult{IoResult::kWantWrite});
}

TEST_P(SocketStreamTest, AddressesAreThoseOfTheOther) {
  EXPECT_EQ(near_.PeerAddress().value(), listener_.LocalAddress().value());
  EXPECT_EQ(far_.LocalAddress().value(), listener_.LocalAddress().value());
  EXPECT_EQ(far_.PeerAddress().value(), near_.LocalAddress().value());
  EXPECT_EQ(far_peer_, near_.LocalAddress().value());
}

TEST_P(SocketStreamTest, NobodyWaitingIsEagain) {
  const Socket::Accepted nobody = listener_.Accept();
  EXPECT_FALSE(nobody.socket.valid());
  EXPECT_EQ(nobody.error, EAGAIN);
}

TEST_P(SocketStreamTest, EverySocketIsNonBlockingAndNotInherited) {
  ExpectNonBlockingAndNotInherited(listener_);
  ExpectNonBlockingAndNotInherited(near_);
  ExpectNonBlockingAndNotInherited(far_);
}

TEST_P(SocketStreamTest, AddressInUseIsNamed) {
  const SocketAddress address = listener_.LocalAddress().value();
  Socket second = Socket::CreateFor(address).value();
  EXPECT_EQ(second.Bind(address).message(),
            absl::StrCat("bind ", address, ": Address already in use"));
}

TEST_P(SocketStreamTest, NobodyListeningRefuses) {
  SocketAddress address = listener_.LocalAddress().value();
  Socket deaf = Socket::CreateFor(address).value();
  if (is_tcp()) {
    ExpectOk(deaf.Bind(address.WithPort(0)));  // Bound, so that nobody else gets the port.
    address = deaf.LocalAddress().value();
  } else {
    listener_ = Socket();  // Which leaves the socket's file behind.
  }
  Socket socket = Socket::CreateFor(address).value();
  absl::StatusOr<IoResult> result = socket.Connect(address);
  if (result.ok()) {
    ASSERT_EQ(result->kind(), IoResult::kWantWrite);
    Await(socket, POLLOUT);
    EXPECT_EQ(socket.TakeError().message(), "socket error: Connection refused");
  } else {
    EXPECT_EQ(result.status().message(), absl::StrCat("connect ", address, ": Connection refused"));
  }
}

TEST_P(SocketStreamTest, OptionsOfTcpAreOkEverywhere) {
  Socket taken_over(far_.Release());  // Which has to find out what it is.
  EXPECT_FALSE(far_.valid());
  for (Socket* socket : {&near_, &taken_over}) {
    ExpectOk(socket->SetNoDelay());
    ExpectOk(socket->SetKeepAlive({.idle = absl::Milliseconds(6'001), .count = 3}));
    ExpectOk(socket->SetReuseAddress());
    ExpectOk(socket->SetReusePort(false));
    if (!is_tcp()) continue;
    EXPECT_EQ(GetInt(*socket, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(GetInt(*socket, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(GetInt(*socket, IPPROTO_TCP, TCP_KEEPIDLE), 7) << "is rounded up";
    EXPECT_EQ(GetInt(*socket, IPPROTO_TCP, TCP_KEEPINTVL), 10);
    EXPECT_EQ(GetInt(*socket, IPPROTO_TCP, TCP_KEEPCNT), 3);
    EXPECT_EQ(GetInt(*socket, IPPROTO_TCP, TCP_USER_TIMEOUT), 120'000);
    ExpectOk(socket->SetKeepAlive({.unacknowledged = absl::InfiniteDuration()}));
    EXPECT_EQ(GetInt(*socket, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    ExpectOk(socket->SetNoDelay(false));
    EXPECT_EQ(GetInt(*socket, IPPROTO_TCP, TCP_NODELAY), 0);
  }
}

TEST_P(SocketStreamTest, KeepAliveThatCannotBeIsRefused) {
  if (!is_tcp()) GTEST_SKIP() << "Unix sockets keep none alive";
  EXPECT_EQ(near_.SetKeepAlive({.idle = absl::InfiniteDuration()}).message(),
            "setsockopt TCP_KEEPIDLE: Invalid argument");
  EXPECT_FALSE(near_.SetKeepAlive({.interval = -absl::InfiniteDuration()}).ok());
  EXPECT_FALSE(near_.SetKeepAlive({.count = 0}).ok());
}

TEST_P(SocketStreamTest, BufferSizesAreSet) {
  ExpectOk(near_.SetSendBufferBytes(20'000));
  ExpectOk(near_.SetReceiveBufferBytes(30'000));
  EXPECT_EQ(GetInt(near_, SOL_SOCKET, SO_SNDBUF), 40'000) << "the kernel doubles it";
  EXPECT_EQ(GetInt(near_, SOL_SOCKET, SO_RCVBUF), 60'000) << "the kernel doubles it";
}

TEST_P(SocketStreamTest, AcceptedInheritsTheListenersOptions) {
  if (!is_tcp()) GTEST_SKIP() << "is about options of TCP";
  ExpectOk(listener_.SetNoDelay());
  ExpectOk(listener_.SetKeepAlive({.idle = absl::Seconds(33)}));
  const Socket client = ConnectTo(listener_.LocalAddress().value());
  const Socket::Accepted accepted = AcceptFrom(listener_);
  EXPECT_EQ(GetInt(accepted.socket, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(GetInt(accepted.socket, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(GetInt(accepted.socket, IPPROTO_TCP, TCP_KEEPIDLE), 33);
}

TEST_P(SocketStreamTest, TcpTellsHowItIs) {
  const absl::StatusOr<tcp_info> info = near_.TcpInfo();
  if (is_tcp()) {
    ExpectOk(info.status());
    EXPECT_EQ(info->tcpi_state, TCP_ESTABLISHED);
  } else {
    EXPECT_THAT(info.status().message(), StartsWith("getsockopt TCP_INFO: "));
  }
}

TEST_P(SocketStreamTest, UnixPeersHaveCredentials) {
  const absl::StatusOr<ucred> peer = far_.PeerCredentials();
  if (is_tcp()) {
    EXPECT_TRUE(absl::IsFailedPrecondition(peer.status())) << peer.status();
  } else {
    ExpectOk(peer.status());
    EXPECT_EQ(peer->pid, getpid());
    EXPECT_EQ(peer->uid, geteuid());
  }
}

std::string NameOfKind(const ::testing::TestParamInfo<std::string>& info) {
  constexpr absl::string_view kNames[] = {"Ipv4", "Ipv6", "Unix", "Abstract"};
  return std::string(kNames[info.index]);
}

INSTANTIATE_TEST_SUITE_P(Streams, SocketStreamTest,
                         ::testing::Values("127.0.0.1:0", "[::1]:0", "unix:./stream.sock",
                                           "unix:@"),
                         NameOfKind);

class SocketTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(chdir(::testing::TempDir().c_str()), 0); }
};

TEST_F(SocketTest, IsAsSmallAsItCanBe) {
  EXPECT_LE(sizeof(Socket), 8u);
  EXPECT_FALSE(Socket().valid());
}

TEST_F(SocketTest, PairIsConnectedNonBlockingAndNotInherited) {
  auto [one, other] = Socket::Pair().value();
  EXPECT_EQ(one.Write("hello"), (IoResult{IoResult::kDone, 5}));
  EXPECT_EQ(ReadExactly(other, 5), "hello");
  ExpectNonBlockingAndNotInherited(one);
  ExpectNonBlockingAndNotInherited(other);
}

TEST_F(SocketTest, FamilyThatIsNotThereIsAnError) {
  EXPECT_EQ(Socket::Create(AF_MAX).status().message(),
            "socket: Address family not supported by protocol");
}

TEST_F(SocketTest, AnyTakesPeersOfBothFamilies) {
  Socket listener = ListenOn(SocketAddress::Any(0));
  const SocketAddress address = listener.LocalAddress().value();
  EXPECT_EQ(address, SocketAddress::Any(address.port()));
  EXPECT_NE(address.port(), 0);
  const Socket ipv4 = ConnectTo(SocketAddress::Loopback(address.port()));
  const Socket::Accepted accepted = AcceptFrom(listener);
  EXPECT_EQ(accepted.peer, ipv4.LocalAddress().value());
  EXPECT_EQ(accepted.peer.family(), AF_INET) << "a mapped address is shown as what it means";
  EXPECT_EQ(accepted.socket.LocalAddress().value(), SocketAddress::Loopback(address.port()));
  if (GetInt(listener, SOL_SOCKET, SO_DOMAIN) != AF_INET6) return;
  const SocketAddress loopback = SocketAddress::Parse("[::1]:0").value();
  const Socket ipv6 = ConnectTo(loopback.WithPort(address.port()));
  EXPECT_EQ(AcceptFrom(listener).peer, ipv6.LocalAddress().value());
}

TEST_F(SocketTest, Ipv6AloneTakesNoIpv4Peers) {
  const SocketAddress wildcard = SocketAddress::Parse("[::]:0").value();
  Socket listener = Socket::Create(AF_INET6).value();
  ExpectOk(listener.Bind(wildcard));
  const SocketAddress address = listener.LocalAddress().value();
  EXPECT_EQ(address, wildcard.WithPort(address.port()));
  EXPECT_EQ(GetInt(listener, IPPROTO_IPV6, IPV6_V6ONLY), 1);
}

TEST_F(SocketTest, ReusedPortIsSharedByListeners) {
  Socket listeners[2];
  SocketAddress address;
  for (Socket& listener : listeners) {
    listener = Socket::CreateFor(address).value();
    ExpectOk(listener.SetReusePort());
    ExpectOk(listener.Bind(address));
    ExpectOk(listener.Listen(1));
    address = listener.LocalAddress().value();
  }
}

TEST_F(SocketTest, UnixSocketIsForItsOwnerOnly) {
  unlink("mode.sock");
  Socket listener = ListenOn(SocketAddress::Unix("mode.sock"));
  struct stat file;
  ASSERT_EQ(stat("mode.sock", &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 0600u);
}

TEST_F(SocketTest, UnixPathWithoutFolderIsNamed) {
  EXPECT_EQ(Socket::Create(AF_UNIX)->Bind(SocketAddress::Unix("./none/x.sock")).message(),
            "bind unix:./none/x.sock: No such file or directory");
  EXPECT_EQ(
      Socket::Create(AF_UNIX)->Connect(SocketAddress::Unix("./none/x.sock")).status().message(),
      "connect unix:./none/x.sock: No such file or directory");
}

// Which is not the same as nobody listening: that is Unavailable.
TEST_F(SocketTest, FullUnixListenerIsToldApart) {
  const SocketAddress address = SocketAddress::Unix(absl::StrCat("@socket_test-full-", getpid()));
  Socket listener = Socket::CreateFor(address).value();
  ExpectOk(listener.Bind(address));
  ExpectOk(listener.Listen(0));
  const Socket first = ConnectTo(address);  // The queue holds one more than was asked for.
  EXPECT_EQ(Socket::Create(AF_UNIX)->Connect(address).status(),
            absl::ResourceExhaustedError(absl::StrCat("connect ", address, ": its queue is full")));
}

TEST_F(SocketTest, AnyIsNoAddressToConnectTo) {
  const SocketAddress any = SocketAddress::Any(7);
  const absl::Status status = Socket::CreateFor(any)->Connect(any).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("connect *:7"));
}

TEST_F(SocketTest, NobodyAtTheOtherEndIsAnError) {
  Socket alone = Socket::Create(AF_INET).value();
  EXPECT_THAT(alone.PeerAddress().status().message(), StartsWith("getpeername: "));
  EXPECT_THAT(alone.ShutdownWrite().status().message(), StartsWith("shutdown: "));
  EXPECT_THAT(alone.Write("x").status().message(), StartsWith("send: "));
  std::string room(1, '\0');
  EXPECT_THAT(alone.Read(absl::MakeSpan(room)).status().message(), StartsWith("recv: "));
}

TEST_F(SocketTest, WithoutADescriptorEverythingIsAnError) {
  Socket none;
  EXPECT_FALSE(none.Bind(SocketAddress()).ok());
  EXPECT_FALSE(none.Listen(1).ok());
  EXPECT_EQ(none.Accept().error, EBADF);
  EXPECT_FALSE(none.Connect(SocketAddress()).ok());
  EXPECT_FALSE(none.TakeError().ok());
  EXPECT_FALSE(none.LocalAddress().ok());
  EXPECT_FALSE(none.SetNoDelay().ok());
  none.ResetOnClose();
}

}  // namespace
}  // namespace millrace
