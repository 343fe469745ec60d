import { expect, it } from "vitest";
import { estimateMemory } from "../../src/engine/memory-estimate.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { useFolder } from "../support/data-files.js";
import { adapterMetadata, gguf, pair, tensor, VOCABULARY } from "../support/gguf-files.js";

const folder = useFolder();

it("adds up states, logits, buffers, and the factors that fused pairs keep, experts' apart", async () => {
  const tensors = [
    tensor("token_embd.weight.lora_a", [4, VOCABULARY]),
    tensor("token_embd.weight.lora_b", [4, 8]),
    ...pair("blk.0.attn_q.weight", [8, 24], 5, "F16"),
    tensor("blk.0.ffn_up_exps.weight.lora_a", [8, 2, 5]),
    tensor("blk.0.ffn_up_exps.weight.lora_b", [2, 16, 5]),
    ...pair("output.weight", [8, VOCABULARY], 2),
  ];
  const path = await folder.write("adapter.gguf", gguf({ metadata: adapterMetadata(), tensors }));
  const file = await readAdapter(path);
  const batch = { maxTokens: 7, maxRows: 3, lossInGraph: false };
  const simulated = { computeBytes: 1000, cacheBytes: 500 };
  const estimateOf = (fusedLora: boolean) =>
    estimateMemory(batch, { embedding: 8, vocabulary: VOCABULARY }, { file, fusedLora }, simulated, 2);
  const expected = {
    states: 2 * 7 * 8 * 4,
    logits: 3 * VOCABULARY * 4,
    // The widest product of a layer's pairs is that of attn_q.
    compute: 1000 + 24 * 7 * 4,
    cache: 500,
    factors: 4 * (4 * 8 + 5 * 24 + 2 * VOCABULARY),
  };
  expect(estimateOf(true)).toEqual(expected);
  expect(estimateOf(false)).toEqual({ ...expected, factors: 0 });
});
