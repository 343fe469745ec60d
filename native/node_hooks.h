#pragma once

#include <memory>

#include "attention.h"
#include "graph_replay.h"
#include "job_control.h"
#include "lora_product.h"
#include "lora_sum.h"
#include "node_edits.h"
#include "quant_product.h"

// What a context does with each node that the scheduler asks about, for llama_context_params.cb_eval: in the one order
// in which replays and faster kernels can share a graph.
struct NodeHooks {
  // `threads`: at most, of the graphs. `own_sums`: in an order of our own, so that what is computed for a row does not
  // depend on those beside it, see attention.h, lora_product.h and quant_product.h; else everything has llama.cpp's
  // bits.
  NodeHooks(int32_t threads, bool own_sums)
      : quant_products(threads, own_sums ? QuantProductHook::Order::kOwn : QuantProductHook::Order::kLlama),
        attention(own_sums && AttentionHook::Usable() ? std::make_unique<AttentionHook>(threads) : nullptr),
        lora_products(own_sums && LoraProductHook::Usable() ? std::make_unique<LoraProductHook>() : nullptr) {}

  // Null `replay`: nothing is replayed; null `sums`: nothing is fused. `wants(node)`: another reason to stop after the
  // node; `read(node)` when it has run.
  template <typename Wants, typename Read>
  bool Evaluate(ggml_tensor* node, bool ask, GraphReplay* replay, LoraSums* sums, const JobState* job,
                const Wants& wants, const Read& read) {
    if (ask) {
      edits.Restore(node);
      // Backends other than the CPU's know no abort: what is left of the graph is skipped.
      if (replay != nullptr && job != nullptr && job->aborted) replay->SkipEverything();
    }
    bool wanted = replay != nullptr ? replay->Evaluate(node, ask) : !ask;
    if (ask && sums != nullptr) lora_sums.Ask(node, *sums, edits);
    if (ask) quant_products.Ask(node, edits);
    if (ask && attention) attention->Ask(node, edits);
    if (ask && lora_products) lora_products->Ask(node, edits);
    if (wants(node)) {
      if (!ask) read(node);
      wanted = true;
    }
    if (ask && wanted) lora_sums.Commit();
    return wanted;
  }

  NodeEdits edits;

 private:
  LoraSumHook lora_sums;
  QuantProductHook quant_products;
  std::unique_ptr<AttentionHook> attention;        // null: llama.cpp's
  std::unique_ptr<LoraProductHook> lora_products;  // null: llama.cpp's
};
