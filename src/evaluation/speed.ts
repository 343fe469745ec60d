import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { LoadedWhole } from "../engine/speed-probe.js";
import { readAdapter, type AdapterFile } from "../lora/adapter-file.js";
import type { NamedScales } from "../lora/candidate.js";
import { writeAdapter } from "../lora/trim.js";
import type { SpeedReport, SpeedRow, SpeedSpread } from "./speed-report.js";

export interface MeasureSpeedOptions {
  /** Sequences in parallel; default 1 and 8. */
  readonly sequences?: readonly number[] | undefined;
  /** Tokens of all prompts of a batch together. Default 512. */
  readonly promptTokens?: number | undefined;
  /** Tokens written behind each prompt. Default 32. */
  readonly decodeTokens?: number | undefined;
  /** How often everything is measured, side by side. Default 3. */
  readonly rounds?: number | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** The CPU's matrix kernels need rows of 16; see `trim --pad-rank`. */
const PAD_RANK = 16;

/** What is measured: a file as llama.cpp's programs load it, or the base model alone. */
interface Row {
  readonly id: string;
  readonly role: SpeedRow["role"];
  readonly padRank: number | null;
  readonly path: string | null;
  readonly file: AdapterFile | null;
}

/**
 * Prompt and decoding speed, file size, load time and weights of base model, full adapter and cuts on this machine. Every round
 * measures all of them in turn, each round in another order, so that what else the machine does meanwhile meets all alike; told is
 * the median over rounds. Adapters are written and loaded as files. A rank that is no multiple of 16 is measured padded as well.
 *
 * @param cuts candidates beside base model and full adapter, each with at least one kept pair
 * @throws BackendError, MemoryError, CancelledError; as `writeAdapter`
 */
export async function measureSpeed(
  adapter: Adapter,
  samples: SampleSet,
  cuts: readonly NamedScales[],
  options: MeasureSpeedOptions = {},
): Promise<SpeedReport> {
  const { sequences = [1, 8], decodeTokens = 32, rounds = 3, signal, onProgress } = options;
  const { model } = adapter;
  const folder = await mkdtemp(join(tmpdir(), "lora-boundary-speed-"));
  const tokens = Int32Array.from(samples.samples.slice(0, 64).flatMap((sample) => [...sample.tokens]));
  try {
    const rows = await writeRows(adapter, cuts, folder, signal);
    const runs = rows.map((): SpeedRow["runs"][number][] => []);
    const loads = rows.map((): number[] => []);
    let threads = 0;
    const total = sequences.length * rounds * rows.length;
    let done = 0;
    for (const count of sequences) {
      const most = model.trainedContext > 0 ? model.trainedContext - decodeTokens : Infinity;
      const promptTokens = Math.max(1, Math.min(Math.floor((options.promptTokens ?? 512) / count), most));
      await using probe = model.openSpeedProbe({
        sequences: count,
        promptTokens,
        decodeTokens,
        threads: options.threads,
      });
      ({ threads } = probe);
      const loaded: LoadedWhole[] = [];
      try {
        for (const { path } of rows) loaded.push(await probe.load(path));
        const prompts = rows.map((): number[] => []);
        const decodes = rows.map((): number[] => []);
        for (let round = 0; round < rounds; round++) {
          for (let turn = 0; turn < rows.length; turn++) {
            const index = (turn + round) % rows.length;
            const { prompt, decode } = await probe.run(loaded[index]?.native ?? null, tokens, signal);
            prompts[index]?.push((count * promptTokens) / prompt);
            decodes[index]?.push((count * decodeTokens) / decode);
            onProgress?.({ done: ++done, total });
          }
        }
        for (const [index, list] of runs.entries()) {
          list.push({
            sequences: count,
            promptTokens,
            promptTokensPerSecond: spreadOf(prompts[index] ?? []),
            decodeTokensPerSecond: spreadOf(decodes[index] ?? []),
          });
          loads[index]?.push(loaded[index]?.seconds ?? 0);
        }
      } finally {
        for (const { native } of loaded) native?.dispose();
      }
    }
    return {
      machine: { processor: cpus()[0]?.model ?? "unknown", backend: model.placement.backend, threads },
      decodeTokens,
      rounds,
      modelBytes: model.file.shards.reduce((sum, { fileBytes }) => sum + fileBytes, 0),
      rows: rows.map(({ id, role, padRank, file }, index) => ({
        ...{ id, role, padRank },
        fileBytes: file === null ? model.file.shards.reduce((sum, { fileBytes }) => sum + fileBytes, 0) : file.bytes,
        weightBytes:
          file === null
            ? [...model.file.tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0)
            : file.gguf.tensors.reduce((sum, { bytes }) => sum + bytes, 0),
        loadSeconds: file === null ? model.loadSeconds : spreadOf(loads[index] ?? []).median,
        runs: runs[index] ?? [],
      })),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeRows(
  adapter: Adapter,
  cuts: readonly NamedScales[],
  folder: string,
  signal: AbortSignal | undefined,
): Promise<readonly Row[]> {
  const { layers } = adapter.model;
  const full = { id: "full", layerScales: new Array<number>(layers).fill(1), inputScale: 1, outputScale: 1 };
  const rows: Row[] = [
    { id: "base", role: "base", padRank: null, path: null, file: null },
    { id: "full", role: "full", padRank: null, path: adapter.path, file: adapter.file },
  ];
  const padded = adapter.file.ranks.some((rank) => rank % PAD_RANK !== 0);
  const write = async (role: Row["role"], scales: NamedScales, padRank: number | null) => {
    const path = join(folder, `${rows.length}.gguf`);
    await writeAdapter(adapter.path, scales, path, {
      ...(signal && { signal }),
      ...(padRank !== null && { padRank }),
    });
    rows.push({ id: scales.id, role, padRank, path, file: await readAdapter(path) });
  };
  if (padded) await write("full", full, PAD_RANK);
  for (const cut of cuts) {
    await write("cut", cut, null);
    if (padded) await write("cut", cut, PAD_RANK);
  }
  return rows;
}

function spreadOf(values: readonly number[]): SpeedSpread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
  return { median, low: sorted[0] ?? NaN, high: sorted.at(-1) ?? NaN };
}
