// SPDX-License-Identifier: Apache-2.0
//
// What a block costs, from the pool and (with none kept) from the system.

#include <vector>

#include "benchmark/benchmark.h"
#include "net/block_pool.h"

namespace millrace {
namespace {

// Each time `range(0)` blocks are taken and given back; `range(1)` may be kept.
void BM_TakeGive(benchmark::State& state) {
  BlockPool pool(4096, state.range(1));
  std::vector<void*> blocks(state.range(0));
  for (auto _ : state) {
    for (void*& block : blocks) block = pool.Take();
    for (void* block : blocks) pool.Give(block);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_TakeGive)->ArgNames({"blocks", "kept"})->Args({1, 64})->Args({64, 64})->Args({64, 0});

}  // namespace
}  // namespace millrace
