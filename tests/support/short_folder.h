// SPDX-License-Identifier: Apache-2.0
//
// ShortFolder is a folder of a test's own whose name is short enough for Unix sockets: TEST_TMPDIR
// is often longer than sun_path. It fails the test if something is left in it at the end, since
// whoever makes a socket's file is to remove it. For the test's thread.
//
//   ShortFolder folder;
//   const SocketAddress address = folder.Unix("echo");      // unix:/tmp/mrXXXXXX/echo

#ifndef MILLRACE_TESTS_SUPPORT_SHORT_FOLDER_H_
#define MILLRACE_TESTS_SUPPORT_SHORT_FOLDER_H_

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "net/socket_address.h"

namespace millrace {

class ShortFolder {
 public:
  ShortFolder() { CHECK(mkdtemp(path_.data()) != nullptr); }
  ~ShortFolder() {
    EXPECT_EQ(rmdir(path_.c_str()), 0) << "something is left in " << path_;
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ShortFolder(const ShortFolder&) = delete;
  ShortFolder& operator=(const ShortFolder&) = delete;

  std::string Path(absl::string_view name) const { return absl::StrCat(path_, "/", name); }
  SocketAddress Unix(absl::string_view name) const { return SocketAddress::Unix(Path(name)); }
  bool Has(absl::string_view name) const { return access(Path(name).c_str(), F_OK) == 0; }
  void Remove(absl::string_view name) const { unlink(Path(name).c_str()); }

 private:
  std::string path_ = "/tmp/mrXXXXXX";
};

}  // namespace millrace

#endif  // MILLRACE_TESTS_SUPPORT_SHORT_FOLDER_H_
