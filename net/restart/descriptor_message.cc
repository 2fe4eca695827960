// SPDX-License-Identifier: Apache-2.0
#include "net/restart/descriptor_message.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace millrace {
namespace {

constexpr size_t kRightsBytesMax = kDescriptorsPerMessageMax * sizeof(int);

// Room for the descriptors of a message, aligned as cmsg(3) wants it.
union Rights {
  char bytes[CMSG_SPACE(kRightsBytesMax)];
  cmsghdr align;
};

// The kernel has made them already, so all must be taken, or they stay open for ever.
void TakeRights(msghdr& message, std::vector<UniqueFd>& descriptors) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(fd);
    }
  }
}

}  // namespace

absl::Status SendWithDescriptors(const Socket& to, absl::string_view text,
                                 absl::Span<const int> descriptors) {
  CHECK(!text.empty() && descriptors.size() <= kDescriptorsPerMessageMax);
  iovec bytes = {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  Rights rights = {};
  if (!descriptors.empty()) {
    const size_t size = descriptors.size() * sizeof(int);
    message.msg_control = rights.bytes;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(part), descriptors.data(), size);
  }
  ssize_t sent;
  do {
    sent = sendmsg(to.fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return absl::ErrnoToStatus(errno, "sendmsg");
  if (static_cast<size_t>(sent) == text.size()) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("sendmsg: took ", sent, " of ", text.size(), " bytes"));
}

absl::StatusOr<ReceivedDescriptors> ReceiveWithDescriptors(const Socket& from, size_t bytes_max) {
  ReceivedDescriptors received;
  received.text.resize(bytes_max);
  iovec bytes = {.iov_base = received.text.data(), .iov_len = bytes_max};
  Rights rights = {};
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = rights.bytes;
  message.msg_controllen = sizeof(rights.bytes);
  ssize_t count;
  do {
    count = recvmsg(from.fd(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return absl::ErrnoToStatus(errno, "recvmsg");
  received.text.resize(static_cast<size_t>(count));
  TakeRights(message, received.descriptors);
  if ((message.msg_flags & MSG_CTRUNC) == 0) return received;
  return absl::ResourceExhaustedError("recvmsg: no room for all descriptors that came");
}

}  // namespace millrace
