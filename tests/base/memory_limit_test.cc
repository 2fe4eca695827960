// SPDX-License-Identifier: Apache-2.0
#include "base/memory_limit.h"

#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();

class MemoryLimitTest : public ::testing::Test {
 protected:
  MemoryLimitTest() {
    const ::testing::TestInfo* info = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = ::testing::TempDir() + "/memory_limit_" + info->name();
    std::filesystem::remove_all(root_);
  }

  void Put(const std::string& path, const std::string& contents) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << contents;
  }
  uint64_t Limit() const { return ControlGroupMemoryLimit(root_); }

  std::string root_;
};

TEST_F(MemoryLimitTest, OfThisMachineIsThere) {
  EXPECT_GE(MachineMemory(), uint64_t{16} << 20);
  EXPECT_LE(MemoryLimit(), MachineMemory());
  EXPECT_GT(MemoryLimit(), 0u);
}

// A soft limit far above what this test uses, and put back.
class ResourceLimitTest : public ::testing::TestWithParam<int> {
 protected:
  ResourceLimitTest() { getrlimit(static_cast<__rlimit_resource>(GetParam()), &before_); }
  ~ResourceLimitTest() override { Set(before_.rlim_cur); }
  bool Set(rlim_t bytes) {
    const rlimit limit = {.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    return setrlimit(static_cast<__rlimit_resource>(GetParam()), &limit) == 0;
  }

  rlimit before_ = {};
};

TEST_P(ResourceLimitTest, TheProcessesOwnLimitsCountToo) {
  constexpr rlim_t kFarAbove = rlim_t{1} << 45;  // ThreadSanitizer maps terabytes.
  ASSERT_TRUE(Set(kFarAbove));
  EXPECT_EQ(ResourceMemoryLimit(), kFarAbove);
  EXPECT_LE(MemoryLimit(), kFarAbove);
  ASSERT_TRUE(Set(RLIM_INFINITY));
  EXPECT_EQ(ResourceMemoryLimit(), kNone);
}

INSTANTIATE_TEST_SUITE_P(Each, ResourceLimitTest, ::testing::Values(RLIMIT_AS, RLIMIT_DATA));

TEST_F(MemoryLimitTest, WithoutGroupsThereIsNone) { EXPECT_EQ(Limit(), kNone); }

TEST_F(MemoryLimitTest, SecondVersion) {
  Put("/proc/self/cgroup", "0::/services/millrace\n");
  Put("/sys/fs/cgroup/services/millrace/memory.max", "max\n");
  EXPECT_EQ(Limit(), kNone);
  Put("/sys/fs/cgroup/services/millrace/memory.max", "1000000\n");
  EXPECT_EQ(Limit(), 1'000'000u);
}

TEST_F(MemoryLimitTest, GroupsAroundItCountToo) {
  Put("/proc/self/cgroup", "0::/a/b/c\n");
  Put("/sys/fs/cgroup/a/b/c/memory.max", "3000\n");
  Put("/sys/fs/cgroup/a/b/memory.max", "max\n");
  Put("/sys/fs/cgroup/a/memory.max", "2000\n");
  EXPECT_EQ(Limit(), 2000u);
}

TEST_F(MemoryLimitTest, FirstVersion) {
  Put("/proc/self/cgroup", "12:cpu,cpuacct:/x\n4:memory:/jobs/7\n0::/\n");
  Put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Put("/sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", "123456\n");
  EXPECT_EQ(Limit(), 123'456u);
}

TEST_F(MemoryLimitTest, FirstVersionWithControllersMountedTogether) {
  Put("/proc/self/cgroup", "4:cpuset,memory:/jobs\n");
  Put("/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", "5000\n");
  EXPECT_EQ(Limit(), 5000u);
}

TEST_F(MemoryLimitTest, InAContainerTheMountIsTheGroup) {
  Put("/proc/self/cgroup", "0::/machine/of/the/host\n");
  Put("/sys/fs/cgroup/memory.max", "77777\n");
  EXPECT_EQ(Limit(), 77'777u);
}

TEST_F(MemoryLimitTest, RubbishIsNoLimit) {
  Put("/proc/self/cgroup", "\n:\n::\n0::\n0::relative\nmemory\n1:memory:/x\n0::/x\n0::/../..\n");
  Put("/sys/fs/cgroup/x/memory.max", "a lot\n");
  Put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "-5\n");
  Put("/sys/fs/cgroup/memory.max", "");
  EXPECT_EQ(Limit(), kNone);
}

}  // namespace
}  // namespace millrace
