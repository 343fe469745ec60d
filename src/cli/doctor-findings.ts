import { availableParallelism, freemem, totalmem } from "node:os";
import { readRows } from "../data/read-rows.js";
import { parseRow } from "../data/rows.js";
import { engineFacts, requireAddonBuilt } from "../engine/backend.js";
import { strengthsOf } from "../engine/candidate-strengths.js";
import { planRuns } from "../engine/scale-trie.js";
import { BackendError, InputError } from "../errors.js";
import { localPathOf } from "../hub/local-path.js";
import { readAdapter, type AdapterFile } from "../lora/adapter-file.js";
import { checkValues } from "../lora/adapter-values.js";
import { checkCompatible } from "../lora/compatibility.js";
import { describeAdapter, describeFile, describeModel } from "../lora/describe.js";
import { readModel, type ModelFile } from "../lora/model-file.js";
import { adapterPathOf } from "../peft/adapter-path.js";
import { packageVersion } from "../package-version.js";
import type { DoctorFindings, ProblemPlace } from "../report/doctor.js";
import { boundaryCandidates } from "../search/families.js";
import { smallestDifference } from "../search/power.js";

type Finding = DoctorFindings["problems"][number];

/** Problems and notices, collected while everything is looked at. */
class Notebook {
  readonly problems: Finding[] = [];
  readonly notices: string[] = [];

  /** What `look` returns; null where it ends in an error of the expected kind, which is noted down. */
  async tryTo<Result>(place: ProblemPlace, look: () => Promise<Result>): Promise<Result | null> {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof (place === "engine" ? BackendError : InputError))) throw error;
      const { code, message, details } = error;
      this.problems.push({ place, code, message, details });
      return null;
    }
  }
}

/**
 * Looks at the machine and at none to three files: base model, adapter, samples; a single one may be either GGUF file.
 *
 * @throws CancelledError; what is wrong with machine or files is a finding
 */
export async function findingsOf(
  files: readonly string[],
  signal: AbortSignal,
  rpc: readonly string[] = [],
): Promise<DoctorFindings> {
  const [first, second, samples] = files;
  const notes = new Notebook();
  // Files are judged by their headers, without the time that loading the addon takes.
  const local =
    first === undefined || rpc.length > 0
      ? await notes.tryTo("engine", () => engineFacts({ gpus: true, signal }))
      : null;
  if (first !== undefined) await notes.tryTo("engine", requireAddonBuilt);
  const addon = notes.problems.length > 0 ? "missing" : local === null ? "built" : "loaded";
  const engine =
    local === null || rpc.length === 0
      ? local
      : ((await notes.tryTo("engine", () => engineFacts({ gpus: true, rpc, signal }))) ?? local);
  const found =
    first === undefined
      ? NOTHING
      : second === undefined
        ? await singleFile(first, notes, signal)
        : await bothFiles(first, second, notes, signal);
  return {
    schema: "lora-boundary/doctor@1",
    version: packageVersion,
    machine: {
      platform: process.platform,
      architecture: process.arch,
      node: process.versions.node,
      threads: availableParallelism(),
      memoryFree: freemem(),
      memoryTotal: totalmem(),
    },
    addon,
    engine,
    ...found,
    samples: samples === undefined ? null : await sampleRows(samples, notes, signal),
    ...{ problems: notes.problems, notices: notes.notices },
  };
}

type FileFindings = Pick<DoctorFindings, "model" | "adapter" | "pair">;
const NOTHING: FileFindings = { model: null, adapter: null, pair: null };

async function singleFile(given: string, notes: Notebook, signal: AbortSignal): Promise<FileFindings> {
  const path = await notes.tryTo("file", () => localPathOf(given, { signal }));
  if (path === null) return NOTHING;
  const file = await notes.tryTo("file", () => describeFile(path));
  if (file?.kind === "adapter") {
    await noteValues(await readAdapter(path), notes, signal);
    return { ...NOTHING, adapter: file };
  }
  return { ...NOTHING, model: file };
}

async function bothFiles(
  modelPath: string,
  adapterPath: string,
  notes: Notebook,
  signal: AbortSignal,
): Promise<FileFindings> {
  const model = await notes.tryTo("file", async () => readModel(await localPathOf(modelPath, { signal })));
  const adapter = await notes.tryTo("file", async () =>
    readAdapter(model === null ? adapterPath : await adapterPathOf(adapterPath, model, { signal })),
  );
  if (adapter !== null) await noteValues(adapter, notes, signal);
  return {
    model: model === null ? null : describeModel(model),
    adapter: adapter === null ? null : describeAdapter(adapter),
    pair: model === null || adapter === null ? null : together(model, adapter, notes),
  };
}

async function noteValues(adapter: AdapterFile, notes: Notebook, signal: AbortSignal): Promise<void> {
  const values = await notes.tryTo("file", () => checkValues(adapter, { signal }));
  if (values === null) return;
  notes.problems.push(...values.problems.map((problem) => ({ place: "file" as const, ...problem })));
  if (values.skipped.length === 0) return;
  const types = [...new Set(values.skipped.map(({ type }) => type.name))].sort().join(", ");
  notes.notices.push(
    `${adapter.path}: the numbers in ${values.skipped.length} tensors of type ${types} were not looked at.`,
  );
}

function together(model: ModelFile, adapter: AdapterFile, notes: Notebook): DoctorFindings["pair"] {
  const problems = checkCompatible(model, adapter);
  notes.problems.push(...problems.map((problem) => ({ place: "pair" as const, ...problem })));
  if (problems.length > 0) return null;
  const candidates = boundaryCandidates(model.layers, adapter.layers);
  const { layersComputed } = planRuns(candidates.map((candidate) => strengthsOf(candidate, { file: adapter, model })));
  return {
    modelLayers: model.layers,
    adaptedLayers: adapter.layers,
    candidates: candidates.length,
    passes: layersComputed / model.layers,
    naivePasses: candidates.length,
  };
}

async function sampleRows(path: string, notes: Notebook, signal: AbortSignal): Promise<DoctorFindings["samples"]> {
  const forms: Record<string, number> = {};
  const groups = new Set<string>();
  let ungrouped = 0;
  await notes.tryTo("samples", async () => {
    const { rows } = await readRows(
      path,
      (value, line, origin) => {
        const { form, group } = parseRow(value, origin, line);
        forms[form] = (forms[form] ?? 0) + 1;
        if (group === null) ungrouped += 1;
        else groups.add(group);
      },
      signal,
    );
    if (rows > 0) return;
    throw new InputError("SAMPLES_EMPTY", `Expected at least one sample in ${path} but received none; add some.`, {
      details: { file: path },
    });
  });
  const rows = Object.values(forms).reduce((sum, number) => sum + number, 0);
  if (rows === 0) return null;
  const independent = groups.size + ungrouped;
  return {
    path,
    rows,
    forms,
    groups: independent,
    smallestShare: smallestDifference({ units: independent }),
  };
}
