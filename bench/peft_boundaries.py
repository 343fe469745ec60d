"""Scores every boundary of a LoRA adapter with PEFT and transformers: the other side of `npm run bench -- peft`.

Argument: a JSON file with `model` (GGUF; its weights are dequantised), `adapter` (a PEFT folder), `boundaries`, `device`,
`threads`, `tokens` (token ids per sample) and `scored` (per sample: 1 where a token is scored, never the first). Progress goes to
stderr; the last line on stdout is JSON: `nll` [boundaries][samples], mean over a sample's scored tokens in nats, `seconds` per
boundary, and `batch`, the samples computed at once.
"""

import json
import os
import re
import sys
import time

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM, GgufConfig
from transformers.utils import logging

BATCHES = (1, 2, 4, 8, 16, 32)
# Samples on which the batch size is chosen, spread over all lengths.
TRIED_ON = 32


def load(job):
    folder, file = os.path.split(job["model"])
    dense = GgufConfig(dequantize=True)
    base = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, quantization_config=dense, dtype=torch.bfloat16)
    model = PeftModel.from_pretrained(base, job["adapter"])
    return model.to(job["device"], torch.bfloat16).eval()


def keep_below(model, boundary):
    """LoRA in layers 0 .. boundary - 1 alone; what is off is not computed."""
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            layer = int(re.search(r"\.layers\.(\d+)\.", name).group(1))
            module.enable_adapters(layer < boundary)


@torch.inference_mode()
def score(model, samples, batch):
    """Mean NLL of each sample. Padding is on the right, where a causal model never looks; only scored rows get logits."""
    causal = model.get_base_model()
    nll = [0.0] * len(samples)
    order = sorted(range(len(samples)), key=lambda sample: len(samples[sample][0]))
    for start in range(0, len(order), batch):
        members = order[start : start + batch]
        length = max(len(samples[sample][0]) for sample in members) - 1
        inputs = torch.zeros(len(members), length, dtype=torch.long)
        targets = torch.full((len(members), length), -100)
        for row, sample in enumerate(members):
            tokens, scored = samples[sample]
            inputs[row, : len(tokens) - 1] = tokens[:-1]
            targets[row, : len(tokens) - 1] = tokens[1:].masked_fill(scored[1:] == 0, -100)
        targets = targets.to(model.device)
        hidden = causal.model(input_ids=inputs.to(model.device), use_cache=False).last_hidden_state
        rows = targets != -100
        logits = causal.lm_head(hidden[rows]).float()
        losses = torch.zeros(targets.shape, device=model.device)
        losses[rows] = torch.nn.functional.cross_entropy(logits, targets[rows], reduction="none")
        for sample, mean in zip(members, (losses.sum(1) / rows.sum(1)).tolist()):
            nll[sample] = mean
    return nll


def timed(model, samples, batch):
    start = time.perf_counter()
    nll = score(model, samples, batch)
    return nll, time.perf_counter() - start


def fastest_batch(model, samples):
    by_length = sorted(samples, key=lambda sample: len(sample[0]))
    tried = by_length[:: max(1, len(samples) // TRIED_ON)]
    timed(model, tried[:2], 2)
    seconds = {batch: timed(model, tried, batch)[1] for batch in BATCHES if batch <= 2 * len(tried)}
    for batch, spent in seconds.items():
        print(f"  batches of {batch}: {sum(len(tokens) - 1 for tokens, _ in tried) / spent:.0f} tokens/s", file=sys.stderr)
    return min(seconds, key=seconds.get)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    logging.disable_progress_bar()
    torch.set_num_threads(job["threads"])
    samples = [(torch.tensor(tokens), torch.tensor(scored)) for tokens, scored in zip(job["tokens"], job["scored"])]
    model = load(job)
    batch = fastest_batch(model, samples)
    result = {"batch": batch, "nll": [], "seconds": []}
    for boundary in job["boundaries"]:
        keep_below(model, boundary)
        nll, seconds = timed(model, samples, batch)
        result["nll"].append(nll)
        result["seconds"].append(seconds)
        print(f"  upto:{boundary}: mean {sum(nll) / len(nll):.4f}, {seconds:.1f} s", file=sys.stderr)
    print(json.dumps(result))


main()
