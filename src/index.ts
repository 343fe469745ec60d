export { calibrate, type CalibrateOptions, type CalibrationProgress } from "./calibration/calibrate.js";
export { plan, type CalibrationPlan, type PlanOptions } from "./calibration/plan.js";
export { writeVerified, type WriteVerifiedOptions } from "./calibration/write-verified.js";
export { readSamples } from "./data/read-samples.js";
export { renderSample, type ShownSample, type ShownToken } from "./data/show-sample.js";
export { chatTemplateNames } from "./data/named-templates.js";
export type { ReadSamplesOptions } from "./data/options.js";
export type { Sample, SampleSet } from "./data/sample.js";
export type { Tokenizer } from "./data/tokenizer.js";
export type { Adapter, LoadAdapterOptions } from "./engine/adapter.js";
export { engineFacts, type EngineFacts } from "./engine/backend.js";
export { GPU_CHOICES, type DeviceOptions, type Gpu, type Placement } from "./engine/devices.js";
export { loadModel, type LoadModelOptions, type Model } from "./engine/model.js";
export type { ScoreSession } from "./engine/score-session.js";
export type {
  ScoreCost,
  ScoreProgress,
  ScoreSessionOptions,
  SessionFacts,
  SessionScoreOptions,
} from "./engine/session-types.js";
export * from "./errors.js";
export type { Candidate, Family } from "./lora/candidate.js";
export { checkCompatible } from "./lora/compatibility.js";
export { describeFile, type AdapterDescription, type ModelDescription } from "./lora/describe.js";
export { parseKeep } from "./lora/keep.js";
export type { Problem } from "./lora/problem.js";
export { writeAdapter, type LayerSelection, type WriteAdapterOptions, type WrittenAdapter } from "./lora/trim.js";
export type {
  CalibrationResult,
  CandidateResult,
  Gate,
  Interval,
  NoSelection,
  SelectedCandidate,
  SubsetPointResult,
  SubsetSection,
  Verdict,
} from "./result.js";
export { boundaryCandidates, scaleCandidates } from "./search/families.js";
