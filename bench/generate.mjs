import { parseArgs } from "node:util";
import { parseCandidateList, readPrompts } from "../dist/index.js";
import { readAdapter } from "../dist/lora/adapter-file.js";
import { partOfTensor } from "../dist/engine/adapter.js";
import { nativePlacement, placeModel } from "../dist/engine/devices.js";
import { loadAddon } from "../dist/native/binding.js";
import { median, quantile, timed } from "./support/timing.mjs";
import { deviceOf, openModel, TRIO_OPTIONS } from "./support/trio.mjs";

/**
 * Generation: 16 prompts batched against one at a time, prompts included; and decoding of single tokens with layer strengths
 * at all ones against llama.cpp's own whole adapter and attention, and with half the layers against all of them, by the fastest
 * tenth of the tokens. In turn; medians of the rounds of batches.
 * Options: those of support/trio.mjs, --rounds N (default 5; three times as many of decoding, which are short), --tokens N
 * (decoded per round, default 32), --threads N (default 2).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      rounds: { type: "string", default: "5" },
      tokens: { type: "string", default: "32" },
      threads: { type: "string", default: "2" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const [rounds, tokens, threads] = [Number(values.rounds), Number(values.tokens), Number(values.threads)];
  const batch = await batching(values, { rounds, threads });
  say(`16 prompts batched: ${batch.batched.toFixed(1)} tokens/s, one at a time ${batch.alone.toFixed(1)} tokens/s`);
  const decode = await decoding(values, { rounds: 3 * rounds, tokens, threads });
  for (const [name, speed] of Object.entries(decode.tokensPerSecond))
    say(`decode, ${name}: ${speed.toFixed(1)} tokens/s`);
  const { layeredRatio, cutRatio } = decode;
  say(
    `batched ${batch.ratio.toFixed(2)} times (must be at least 3), layered ${layeredRatio.toFixed(3)} of the whole adapter (must be at least 0.98), ` +
      `half the layers ${cutRatio.toFixed(3)} of the full adapter (must be at least 1)`,
  );
  return { batchRatio: batch.ratio, layeredRatio, cutRatio, ...decode.tokensPerSecond };
}

async function batching(values, { rounds, threads }) {
  const model = await openModel(values);
  const adapter = await model.loadAdapter(values.adapter);
  const prompts = (await readPrompts(values.samples, model)).slice(0, 16).map(({ tokens }) => tokens);
  const full = parseCandidateList("full", { layers: model.layers })[0];
  const options = { threads, maxTokens: 48, stop: ["\n"], drafts: false };
  const generators = [16, 1].map((sequences) => adapter.openGenerator(prompts, { ...options, sequences }));
  const speeds = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const [index, generator] of generators.entries()) {
      const { value, seconds } = await timed(() => generator.generate([full]));
      speeds[index].push(value[0].reduce((sum, answer) => sum + answer.tokens.length, 0) / seconds);
    }
  }
  await model.dispose();
  const ratio = median(speeds[0].map((speed, round) => speed / speeds[1][round]));
  return { ratio, batched: median(speeds[0]), alone: median(speeds[1]) };
}

/** Below the public interface, which has no whole adapter: the same steps for all, token by token in one sequence. */
async function decoding(values, { rounds, tokens, threads }) {
  const addon = await loadAddon();
  const control = new addon.JobControl();
  const placement = await placeModel(addon, deviceOf(values));
  const place = nativePlacement(placement);
  const fusedLora = placement.backend === "CPU";
  const model = await addon.loadModel({ ...place, path: values.model, control });
  const { layers } = model.facts();
  const file = await readAdapter(values.adapter);
  const layered = await addon.loadAdapter({
    ...{
      model,
      path: values.adapter,
      partOfTensor: partOfTensor(file, layers),
      partsPerLayer: 1,
      rankMultiple: 16,
      fusedLora,
      control,
    },
  });
  const whole = await addon.loadWholeAdapter({ model, path: values.adapter });
  const shape = { contextTokens: tokens + 16, maxSequences: 1, batchTokens: 16, maxRows: 1, threads };
  const open = (own) => addon.createGenerator({ model, ...shape, fusedLora: own, ownSums: own, resumes: false });
  const generators = { own: await open(fusedLora), llamaCpp: await open(false) };
  const half = new Float32Array(layers + 2).fill(1).fill(0, 1 + Math.ceil(layers / 2));
  const ways = {
    whole: { generator: generators.llamaCpp, adapter: whole, strengths: Float32Array.of(1) },
    layered: { generator: generators.own, adapter: layered, strengths: new Float32Array(layers + 2).fill(1) },
    half: { generator: generators.own, adapter: layered, strengths: half },
    base: { generator: generators.own, adapter: null, strengths: new Float32Array() },
  };
  const decode = (generator, ...ids) =>
    generator.step({
      ...{ slots: Int32Array.of(0), offsets: Int32Array.of(0, ids.length), tokens: Int32Array.from(ids) },
      ...{ drafts: Int32Array.of(0), control },
    });
  const seconds = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, { generator, ...way }] of Object.entries(ways)) {
      const step = (...ids) => decode(generator, ...ids);
      generator.setStrengths(way);
      let { tokens: chosen } = await step(1, 2, 3, 4, 5, 6, 7, 8);
      await step(chosen[0]);
      for (let count = 0; count < tokens; count++) {
        const result = await step(chosen[0]);
        chosen = result.tokens;
        seconds[name].push(result.seconds);
      }
    }
  }
  for (const owned of [...Object.values(generators), layered, whole, model]) owned.dispose();
  // Threads wait for each other, so most tokens take longer on a machine that does anything else: the fastest tenth tell.
  const undisturbed = Object.fromEntries(Object.entries(seconds).map(([name, times]) => [name, quantile(times, 0.1)]));
  return {
    layeredRatio: undisturbed.whole / undisturbed.layered,
    cutRatio: undisturbed.layered / undisturbed.half,
    tokensPerSecond: Object.fromEntries(Object.entries(undisturbed).map(([name, time]) => [name, 1 / time])),
  };
}
