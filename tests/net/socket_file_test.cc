// SPDX-License-Identifier: Apache-2.0
#include "net/socket_file.h"

#include <stdio.h>

#include <utility>

#include "gtest/gtest.h"
#include "net/acceptor.h"
#include "net/socket.h"
#include "net/socket_address.h"
#include "tests/support/short_folder.h"

namespace millrace {
namespace {

class SocketFileTest : public ::testing::Test {
 protected:
  Socket Listen() { return ListenAt(address_, {}).value(); }
  bool IsThere() const { return folder_.Has("socket"); }

  ShortFolder folder_;
  SocketAddress address_ = folder_.Unix("socket");
};

TEST_F(SocketFileTest, IsRemovedWithItsHolder) {
  Socket socket = Listen();
  {
    const SocketFile file = SocketFile::Of(address_);
    EXPECT_TRUE(file.exists());
    EXPECT_TRUE(IsThere());
  }
  EXPECT_FALSE(IsThere());
}

TEST_F(SocketFileTest, IsRemovedOnce) {
  Socket socket = Listen();
  SocketFile file = SocketFile::Of(address_);
  file.Remove();
  EXPECT_FALSE(file.exists());
  Socket next = Listen();
  file.Remove();
  EXPECT_TRUE(IsThere());
  folder_.Remove("socket");
}

TEST_F(SocketFileTest, StaysWhereItIsLeft) {
  Socket socket = Listen();
  SocketFile::Of(address_).Leave();
  EXPECT_TRUE(IsThere());
  folder_.Remove("socket");
}

TEST_F(SocketFileTest, AnotherOneInItsPlaceStays) {
  Socket socket = Listen();
  SocketFile file = SocketFile::Of(address_);
  folder_.Remove("socket");
  Socket next = Listen();
  file.Remove();
  EXPECT_TRUE(IsThere());
  folder_.Remove("socket");
}

TEST_F(SocketFileTest, MovesWithItsDuty) {
  Socket socket = Listen();
  SocketFile first = SocketFile::Of(address_);
  SocketFile second = std::move(first);
  EXPECT_FALSE(first.exists());
  first.Remove();
  EXPECT_TRUE(IsThere());
  second = SocketFile();
  EXPECT_FALSE(IsThere());
}

TEST_F(SocketFileTest, ThereIsNoneWithoutASocketAndAName) {
  EXPECT_FALSE(SocketFile().exists());
  EXPECT_FALSE(SocketFile::Of(address_).exists());
  EXPECT_FALSE(SocketFile::Of(SocketAddress::Loopback(80)).exists());
  EXPECT_FALSE(SocketFile::Of(SocketAddress::Unix("@name")).exists());
  FILE* const text = fopen(folder_.Path("socket").c_str(), "w");
  ASSERT_NE(text, nullptr);
  fclose(text);
  EXPECT_FALSE(SocketFile::Of(address_).exists()) << "a file, but not a socket's";
  folder_.Remove("socket");
}

}  // namespace
}  // namespace millrace
