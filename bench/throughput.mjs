import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { boundaryCandidates, readSamples } from "../dist/index.js";
import { sources } from "../native/llama-cpp.mjs";
import { median, timed } from "./support/timing.mjs";
import { openModel, TRIO_OPTIONS } from "./support/trio.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Layer-token throughput of an exhaustive boundary search of one batch against llama-bench's prompt processing of as many
 * tokens, same model and threads, in turn. llama-bench is built once from the sources that node-llama-cpp carries, which
 * takes some minutes; --llama-bench PATH uses another build, as --gpu needs.
 * Options: those of support/trio.mjs, --rounds N (default 3), --threads N (default 2).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      rounds: { type: "string", default: "3" },
      threads: { type: "string", default: "2" },
      "llama-bench": { type: "string" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  if (values.gpu !== "none" && values["llama-bench"] === undefined) {
    throw new Error("Expected --llama-bench PATH with --gpu: the one that is built here computes on the CPU.");
  }
  const llamaBench = values["llama-bench"] ?? buildLlamaBench(say);
  const gpuLayers = values.gpu === "none" ? 0 : Number(values["gpu-layers"] ?? 999);
  const threads = Number(values.threads);
  const model = await openModel(values);
  const adapter = await model.loadAdapter(values.adapter);
  const { samples } = await readSamples(values.samples, model);
  const candidates = boundaryCandidates(model.layers, adapter.file.layers);
  const session = adapter.openSession(fillingOneBatch(samples, 512), { threads });
  const { passes } = session.cost(candidates);
  // The first search also reads the weights and checks itself.
  await session.score(candidates);

  const ratios = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const theirs = promptTokensPerSecond(llamaBench, {
      model: values.model,
      gpuLayers,
      threads,
      tokens: session.tokens,
    });
    const { seconds } = await timed(() => session.score(candidates));
    const ours = (passes * session.tokens) / seconds;
    ratios.push(ours / theirs);
    say(
      `round ${round + 1}: search ${ours.toFixed(0)} tokens/s through all layers, llama-bench pp${session.tokens} ${theirs.toFixed(0)} tokens/s, ratio ${ratios.at(-1).toFixed(2)}`,
    );
  }
  await model.dispose();
  const throughputRatio = median(ratios);
  say(`median ratio ${throughputRatio.toFixed(2)} (must be at least 0.95)`);
  return { throughputRatio, ratios, tokens: session.tokens, passes };
}

/** Samples from the first on, as long as they fit into one batch. */
function fillingOneBatch(samples, budget) {
  let room = budget;
  return samples.filter(({ tokens }) => {
    if (tokens.length - 1 > room) return false;
    room -= tokens.length - 1;
    return true;
  });
}

function promptTokensPerSecond(program, { model, gpuLayers, threads, tokens }) {
  const size = ["-p", tokens, "-n", 0, "-b", tokens, "-ub", tokens, "-r", 3];
  const options = ["-m", model, "-t", threads, "-ngl", gpuLayers, ...size];
  const output = execFileSync(program, [...options.map(String), "-o", "json"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return JSON.parse(output)[0].avg_ts;
}

function buildLlamaBench(say) {
  const root = here("../native/build/llama-bench");
  const program = join(root, "build", "bin", process.platform === "win32" ? "llama-bench.exe" : "llama-bench");
  if (existsSync(program)) return program;
  say("building llama-bench from the sources of node-llama-cpp, once: some minutes");
  const source = sources(join(root, "source"), "git");
  const build = join(root, "build");
  const off = ["LLAMA_CURL", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_SERVER"].map(
    (name) => `-D${name}=OFF`,
  );
  for (const [command, ...rest] of [
    ["cmake", "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Release", ...off],
    ["cmake", "--build", build, "--config", "Release", "--target", "llama-bench", "--parallel"],
  ]) {
    const { status, stderr } = spawnSync(command, rest, { encoding: "utf8", maxBuffer: 2 ** 28 });
    if (status !== 0) throw new Error(`${command} failed: ${stderr.slice(-2000)}`);
  }
  return program;
}
