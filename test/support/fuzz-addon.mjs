/**
 * Calls every function and method of the addon with junk; a child process, because what is looked for is its death.
 * Prints one JSON object: how often what was thrown, rejected and returned. Arguments: addon, libraries, base, adapter, seed, calls.
 */
import { createRequire } from "node:module";

const [addonPath, libraries, base, adapterPath, seed, calls] = process.argv.slice(2);
const addon = createRequire(import.meta.url)(addonPath);
addon.loadBackends(libraries);

let state = Number(seed) >>> 0;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const pick = (list) => list[Math.floor(random() * list.length)];

const control = new addon.JobControl();
const model = await addon.loadModel({ path: base, gpuLayers: 0, devices: [], control });
const { layers } = model.facts();
const whole = await addon.loadWholeAdapter({ model, path: adapterPath });
const shape = {
  maxTokens: 64,
  maxSequences: 4,
  maxRows: 64,
  rowsOfSequence: 64,
  threads: 1,
  lossInGraph: false,
  flashAttention: "auto",
  keyType: "f16",
  valueType: "f16",
};
const scorer = await addon.createScorer({ model, ...shape });
const disposed = await addon.createScorer({ model, ...shape });
disposed.dispose();
const batch = {
  tokens: Int32Array.of(1, 2, 3, 4, 5, 6),
  offsets: Int32Array.of(0, 3, 6),
  scored: Uint8Array.of(0, 1, 1, 0, 1, 1),
  shared: false,
};
scorer.setBatch(batch);

const generator = await addon.createGenerator({
  ...{ model, contextTokens: 64, maxSequences: 4, batchTokens: 32, maxRows: 8, threads: 1 },
  ...{ fusedLora: true, resumes: true, ownSums: true },
});
const step = {
  slots: Int32Array.of(0, 3),
  offsets: Int32Array.of(0, 2, 5),
  tokens: Int32Array.of(1, 2, 3, 4, 5),
  drafts: Int32Array.of(-1, 2),
  control,
};

const opening = {
  slots: Int32Array.of(1, 2),
  offsets: Int32Array.of(0, 2, 5),
  tokens: Int32Array.of(1, 2, 3, 4, 5),
  batches: Int32Array.of(0, 1, 2),
};
generator.setOpening(opening);

const throwing = new Proxy(
  {},
  {
    get() {
      throw new Error("thrown by a getter");
    },
  },
);
// The numbers leave out sizes that are valid but would allocate gigabytes.
const JUNK = [
  () => undefined,
  () => null,
  () => NaN,
  () => Infinity,
  () => -1,
  () => 0,
  () => 1,
  () => 3,
  () => 1.5,
  () => -(2 ** 31),
  () => 2 ** 31,
  () => 2 ** 53,
  () => 1e300,
  () => "",
  () => "x",
  () => "/",
  () => "\u0000",
  () => "x".repeat(70000),
  () => adapterPath,
  () => "compare",
  () => true,
  () => false,
  () => 7n,
  () => Symbol("s"),
  () => ({}),
  () => [],
  () => [1, 2],
  () => new Date(0),
  () => () => 1,
  () => throwing,
  () => Object.create(addon.JobControl.prototype),
  () => new Proxy(control, {}),
  () => new Int32Array(),
  () => Int32Array.of(-1),
  () => Int32Array.of(0, 2 ** 31 - 1, 6),
  () => Int32Array.of(0, 3, 3, 6),
  () => Int32Array.of(-(2 ** 31), 6),
  () => Int32Array.of(2, 1),
  () => Int32Array.of(1, 1, 3),
  () => Int32Array.of(layers),
  () => new Int32Array(500).fill(100),
  () => new Float32Array(),
  () => Float32Array.of(1),
  () => Float32Array.of(NaN),
  () => new Float32Array(layers + 2).fill(1e38),
  () => new Float64Array(3),
  () => new Uint8Array(6).fill(1),
  () => new Uint8ClampedArray(6),
  () => new BigInt64Array(2),
  () => new Int32Array(new SharedArrayBuffer(8)),
  () => detached(),
  () => new DataView(new ArrayBuffer(8)),
  () => new ArrayBuffer(8),
  () => control,
  () => model,
  () => whole,
  () => scorer,
  () => disposed,
  () => generator,
  () => addon.JobControl,
  () => addon,
];
function detached() {
  const array = new Int32Array(4);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}
const junk = () => pick(JUNK)();

const run = {
  adapter: null,
  strengths: new Float32Array(),
  resumeAt: 0,
  keepAt: new Int32Array(),
  logits: "none",
  control,
};
const wholeRun = { ...run, adapter: whole, strengths: Float32Array.of(1), keepAt: Int32Array.of(2) };
const partOfTensor = new Int32Array(168).fill(-1);
/** What is called, with sound options of which some are replaced by junk; null: all arguments are junk. */
const TARGETS = [
  ["devices", () => addon.devices, null],
  ["versions", () => addon.versions, null],
  ["loadBackends", () => addon.loadBackends, null],
  ["loadBackend", () => addon.loadBackend, null],
  ["loadModel", () => addon.loadModel, { path: adapterPath, gpuLayers: 0, devices: [], control }],
  [
    "loadAdapter",
    () => addon.loadAdapter,
    { model, path: adapterPath, partOfTensor, partsPerLayer: 2, rankMultiple: 16, fusedLora: true, control },
  ],
  ["loadWholeAdapter", () => addon.loadWholeAdapter, { model, path: base }],
  ["createScorer", () => addon.createScorer, { model, ...shape }],
  ["simulateMemory", () => addon.simulateMemory, { path: base, gpuLayers: 0, devices: [], ...shape, control }],
  [
    "JobControl",
    () =>
      (...args) =>
        new addon.JobControl(...args),
    null,
  ],
  ["abort", () => addon.JobControl.prototype.abort, null],
  ["progress", () => control.progress, null],
  ["setBatch", () => scorer.setBatch, batch, scorer],
  ["borders", () => scorer.borders, run, scorer],
  ["run", () => scorer.run, run, scorer],
  ["run", () => scorer.run, wholeRun, scorer],
  ["disposedRun", () => disposed.run, run, disposed],
  ["setStrengths", () => generator.setStrengths, { adapter: whole, strengths: Float32Array.of(1) }, generator],
  ["start", () => generator.start, { slot: 1, temperature: 0.5, topP: 0.9, seed: 3 }, generator],
  ["clear", () => generator.clear, { slot: 3 }, generator],
  ["step", () => generator.step, step, generator],
  ["setOpening", () => generator.setOpening, opening, generator],
  ["open", () => generator.open, { resumeAt: 0, keepAt: Int32Array.of(2), control }, generator],
  ["copy", () => generator.copy, { from: 1, to: 0 }, generator],
  ["facts", () => model.facts, null, model],
  ["tokenize", () => model.tokenize, null, model],
  ["tokenBytes", () => model.tokenBytes, null, model],
  ["isControl", () => model.isControl, null, model],
  [
    "Scorer",
    () =>
      (...args) =>
        new scorer.constructor(...args),
    null,
  ],
  [
    "BaseModel",
    () =>
      (...args) =>
        new model.constructor(...args),
    null,
  ],
  [
    "LayeredAdapter",
    () =>
      (...args) =>
        new whole.constructor(...args),
    null,
  ],
  ["dispose", () => scorer.dispose, null, undefined],
  ["dispose", () => model.dispose, null, undefined],
  ["dispose", () => whole.dispose, null, undefined],
];

const count = {};
const note = (name, what) => {
  count[name] ??= {};
  count[name][what] = (count[name][what] ?? 0) + 1;
};
const nameOf = (error) => {
  if (!(error instanceof Error)) return `not an Error: ${typeof error}`;
  return error.message === "thrown by a getter"
    ? "getter"
    : `${error.name}${error.code === undefined ? "" : ` ${error.code}`}`;
};

for (let call = 0; call < Number(calls); call++) {
  const [name, target, sound, receiver] = pick(TARGETS);
  const args = Array.from({ length: Math.floor(random() * 4) }, junk);
  if (sound !== null && random() < 0.85) {
    const options = { ...sound };
    for (let change = Math.floor(random() * 3); change >= 0; change--) options[pick(Object.keys(options))] = junk();
    args[0] = options;
  }
  // The objects that the other calls need stay alive and unaborted.
  const mayBeThis = name !== "dispose" && name !== "abort" && random() < 0.8;
  const wrong = pick([
    undefined,
    null,
    {},
    [],
    throwing,
    addon,
    name === "dispose" ? {} : name === "abort" ? model : scorer,
  ]);
  try {
    const result = target().apply(mayBeThis ? receiver : wrong === receiver ? {} : wrong, args);
    if (result instanceof Promise) {
      note(name, "promise");
      await result.then(
        () => note(name, "resolved"),
        (error) => note(name, `rejected ${nameOf(error)}`),
      );
    } else {
      note(name, "returned");
    }
  } catch (error) {
    note(name, `threw ${nameOf(error)}`);
  }
}
scorer.setBatch(batch);
const { sums } = await scorer.run(run);
console.log(JSON.stringify({ calls: Number(calls), count, sums: [...sums] }));
