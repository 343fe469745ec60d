import type { AdapterDescription, ModelDescription } from "../lora/describe.js";
import { formatLayers } from "../lora/layer-ranges.js";
import type { Problem } from "../lora/problem.js";
import { hanging, heading, section, type Fact } from "./facts.js";
import { byteSize, count, percent, plural } from "./numbers.js";
import { printable, styleOf, tinted, wrapped, type RenderOptions, type Style } from "./text.js";

/** What a problem is about: the addon, one of the files, or the two GGUF files together. */
export type ProblemPlace = "engine" | "file" | "pair" | "samples";

/** Everything that `doctor` finds, as plain data: what it prints, and its JSON. */
export interface DoctorFindings {
  readonly schema: "lora-boundary/doctor@1";
  readonly version: string;
  readonly machine: {
    readonly platform: string;
    readonly architecture: string;
    readonly node: string;
    /** Hardware threads. */
    readonly threads: number;
    /** Bytes. */
    readonly memoryFree: number;
    /** Bytes. */
    readonly memoryTotal: number;
  };
  /** `built`: there, and not loaded because files were to be looked at. */
  readonly addon: "loaded" | "built" | "missing";
  /** Null unless the addon was loaded. */
  readonly engine: {
    readonly llamaCpp: string;
    readonly systemInfo: string;
    readonly devices: readonly {
      readonly name: string;
      readonly description: string;
      readonly type: string;
      readonly backend: string;
      readonly memoryFree: number;
      readonly memoryTotal: number;
      /** Whether a GPU computed a batch in a process of its own, and if not, how that ended; null: not tried. */
      readonly trial: { readonly computes: boolean; readonly failure: string | null } | null;
    }[];
    /** Backends that `lora-boundary-build` built, and where; null: all is as node-llama-cpp brings it. */
    readonly built: { readonly folder: string; readonly backends: readonly string[] } | null;
    /** GPU backends that cannot be used here, and why. */
    readonly refused: readonly { readonly backend: string; readonly reason: string }[];
  } | null;
  /** Each null where it was not given or cannot be read. */
  readonly model: ModelDescription | null;
  readonly adapter: AdapterDescription | null;
  /** Null unless both files are sound and fit together. */
  readonly pair: {
    readonly modelLayers: number;
    readonly adaptedLayers: readonly number[];
    /** Of a boundary search. */
    readonly candidates: number;
    /** Layer-token evaluations / (L x tokens of all samples), without the self-check. */
    readonly passes: number;
    readonly naivePasses: number;
  } | null;
  readonly samples: {
    readonly path: string;
    /** Good ones. */
    readonly rows: number;
    /** Good rows of each form that occurs. */
    readonly forms: Readonly<Record<string, number>>;
    /** Independent samples: rows of one `group` count once. */
    readonly groups: number;
    /** Smallest difference that so many can show, as a share of the adapter's gain; null: they show nothing. */
    readonly smallestShare: number | null;
  } | null;
  readonly problems: readonly (Problem & { readonly place: ProblemPlace })[];
  /** What could not be looked at. */
  readonly notices: readonly string[];
}

/** This machine and, where files were given, what they are and whether they work together. Pure; no final line break. */
export function renderDoctor(findings: DoctorFindings, options: RenderOptions): string {
  const style = styleOf(options);
  return [
    machineSection(findings, style),
    engineSection(findings, style),
    fileSection("Base model", findings.model, style),
    fileSection("Adapter", findings.adapter, style),
    pairSection(findings, style),
    samplesSection(findings, style),
    problemSection(findings, style),
    findings.notices.flatMap((notice) => wrapped(`Notice: ${notice}`, style.width)),
    conclusion(findings, style),
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function machineSection({ version, machine }: DoctorFindings, style: Style): string[] {
  const { platform, architecture, node, threads, memoryFree, memoryTotal } = machine;
  return section("This machine", style, [
    ["lora-boundary", version],
    ["Node.js", node],
    ["platform", `${platform} ${architecture}, ${plural(threads, "hardware thread")}`],
    ["memory", memoryText(memoryFree, memoryTotal)],
  ]);
}

function engineSection({ engine }: DoctorFindings, style: Style): string[] {
  if (engine === null) return [];
  return section("llama.cpp", style, [
    ["version", printable(engine.llamaCpp)],
    ["libraries", librariesText(engine.built)],
    ...engine.devices.map(({ name, description, type, memoryFree, memoryTotal, trial }): Fact => {
      const tried = trial === null ? "" : trial.computes ? ", computes" : ", does not compute";
      return [printable(name), `${printable(description)} (${type}), ${memoryText(memoryFree, memoryTotal)}${tried}`];
    }),
    ...engine.refused.map(({ backend, reason }): Fact => [backend, `not used: ${printable(reason)}`]),
    ["built for", printable(engine.systemInfo.trim())],
  ]);
}

function librariesText(built: NonNullable<DoctorFindings["engine"]>["built"]): string {
  const others = "of node-llama-cpp";
  return built === null ? others : `${others}; ${built.backends.join(", ")} built here, in ${printable(built.folder)}`;
}

function fileSection(title: string, file: ModelDescription | AdapterDescription | null, style: Style): string[] {
  if (file === null) return [];
  const facts: Fact[] =
    file.kind === "model"
      ? [
          ["layers", count(file.layers)],
          ["weights", file.quantization],
        ]
      : [
          ["layers", file.layers.length === 0 ? "none" : formatLayers(file.layers.map(({ layer }) => layer))],
          ["pairs", `${count(file.pairs)} of rank ${file.ranks.join(", ")}`],
        ];
  return section(title, style, [
    ["path", printable(file.path)],
    ["architecture", printable(file.architecture)],
    ["size", `${byteSize(file.bytes)}, ${plural(file.parameters, "parameter")}`],
    ...facts,
  ]);
}

function pairSection({ pair }: DoctorFindings, style: Style): string[] {
  if (pair === null) return [];
  const { modelLayers, adaptedLayers, candidates, passes, naivePasses } = pair;
  const without = Array.from({ length: modelLayers }, (_, layer) => layer).filter(
    (layer) => !adaptedLayers.includes(layer),
  );
  const rest = without.length === 0 ? "" : `; none in ${formatLayers(without)}`;
  return section("Together", style, [
    ["layers", `LoRA in ${adaptedLayers.length} of ${plural(modelLayers, "layer")}${rest}`],
    [
      "work",
      `${plural(candidates, "candidate")} in about ${passes.toFixed(1)} passes over the samples instead of ${naivePasses.toFixed(0)}`,
    ],
  ]);
}

function samplesSection({ samples }: DoctorFindings, style: Style): string[] {
  if (samples === null) return [];
  const { path, rows, forms, groups, smallestShare } = samples;
  const kinds = Object.entries(forms).map(([form, number]) => `${count(number)} ${form}`);
  return section("Samples", style, [
    ["path", printable(path)],
    ["rows", `${count(rows)} good${kinds.length === 0 ? "" : ` (${kinds.join(", ")})`}`],
    ["independent", count(groups)],
    [
      "can show",
      smallestShare === null
        ? "nothing: fewer than 8 independent samples"
        : `differences of about ${percent(smallestShare)} % of the adapter's gain and more`,
    ],
  ]);
}

function problemSection({ problems }: DoctorFindings, style: Style): string[] {
  if (problems.length === 0) return [];
  return [
    heading("Problems", style),
    // Advice may come in lines of its own.
    ...problems.flatMap(({ message }) =>
      message.split("\n").flatMap((line, index) => hanging(`${index === 0 ? "- " : "  "}${printable(line)}`, style)),
    ),
  ];
}

function conclusion(findings: DoctorFindings, style: Style): string[] {
  const { tint, text } = judged(findings);
  return wrapped(text, style.width).map((line) => tinted(line, tint, style));
}

function judged({ addon: state, model, adapter, pair, samples, problems }: DoctorFindings) {
  const ofFiles = problems.filter(({ place }) => place !== "engine").length;
  const addon =
    state === "missing" ? " Calibrating needs the addon, which does not load; trim and inspect do without." : "";
  if (ofFiles > 0) return { tint: "red", text: `${plural(ofFiles, "problem")} with the files.${addon}` } as const;
  if (state !== "missing" && problems.length > 0) {
    return { tint: "red", text: `${plural(problems.length, "problem")} with what computes.` } as const;
  }
  const files = [model, adapter, samples].filter((file) => file !== null).length;
  if (files === 0) {
    return state === "missing"
      ? ({ tint: "red", text: `Not ready.${addon}` } as const)
      : ({ tint: "green", text: "Ready." } as const);
  }
  const answer =
    pair === null
      ? "The file is sound."
      : `The files fit together${samples === null ? "" : ", and every sample can be read"}.`;
  return { tint: state === "missing" ? "yellow" : "green", text: answer + addon } as const;
}

function memoryText(free: number, total: number): string {
  return total > 0 ? `${byteSize(free)} free of ${byteSize(total)}` : "memory not known";
}
