export { calibrate, type CalibrateOptions, type CalibrationProgress } from "./calibration/calibrate.js";
export type { JournalOptions } from "./calibration/journal.js";
export { mergeParts, type MergeOptions } from "./calibration/merge.js";
export { readPart, type PartFile } from "./calibration/read-part.js";
export { scoreShard, type CalibrationPart, type ScoreShardOptions, type Shard } from "./calibration/shard.js";
export { plan, type CalibrationPlan, type PlanOptions } from "./calibration/plan.js";
export { writeVerified, type WriteVerifiedOptions } from "./calibration/write-verified.js";
export { readSamples } from "./data/read-samples.js";
export { renderSample, type ShownSample, type ShownToken } from "./data/show-sample.js";
export { chatTemplateNames } from "./data/named-templates.js";
export type { ReadSamplesOptions } from "./data/options.js";
export type { Sample, SampleSet } from "./data/sample.js";
export type { Tokenizer } from "./data/tokenizer.js";
export type { Adapter, LoadAdapterOptions } from "./engine/adapter.js";
export type { CacheType, ContextChoice, ContextOptions, FlashAttention, LossPlace } from "./engine/context-options.js";
export { engineFacts, type EngineFacts } from "./engine/backend.js";
export {
  GPU_CHOICES,
  SPLIT_MODES,
  type DeviceOptions,
  type Gpu,
  type Placement,
  type SplitMode,
} from "./engine/devices.js";
export { loadModel, type LoadModelOptions, type Model } from "./engine/model.js";
export type { ScoreSession } from "./engine/score-session.js";
export type {
  ScoreCost,
  ScoreObjective,
  ScoreProgress,
  ScoreSessionOptions,
  SessionFacts,
  SessionScoreOptions,
} from "./engine/session-types.js";
export * from "./errors.js";
export type { Candidate, Family, NamedScales } from "./lora/candidate.js";
export { checkCompatible } from "./lora/compatibility.js";
export { describeFile, type AdapterDescription, type ModelDescription } from "./lora/describe.js";
export { formatLayerScales } from "./lora/format-layer-scales.js";
export { parseKeep } from "./lora/keep.js";
export { parseLayerScales, type LayerGrammarOptions, type LayerScales } from "./lora/layer-grammar.js";
export { readLayerPresets, type LayerPresets } from "./lora/layer-presets.js";
export type { Problem } from "./lora/problem.js";
export type { LayerSelection } from "./lora/plan-trim.js";
export { writeAdapter, type WriteAdapterOptions, type WrittenAdapter } from "./lora/trim.js";
export type {
  CalibrationResult,
  CandidateResult,
  Gate,
  Interval,
  NoSelection,
  SelectedCandidate,
  Verdict,
} from "./result.js";
export { boundaryCandidates, scaleCandidates } from "./search/families.js";
