export type {
  Analysis,
  LayerEffect,
  LayerEffects,
  Lens,
  LensLayer,
  ModuleEffect,
  Reading,
} from "./analysis/analysis.js";
export { layerEffects, type EffectOptions } from "./analysis/layer-effects.js";
export { lens, type LensOptions } from "./analysis/lens.js";
export { calibrate, type CalibrateOptions, type CalibrationProgress } from "./calibration/calibrate.js";
export type { ObjectiveChoice } from "./calibration/objective.js";
export type { GuardChoices, GuardNotice, GuardPlan } from "./calibration/guard.js";
export type { JournalOptions } from "./calibration/journal.js";
export { mergeParts, type MergeOptions } from "./calibration/merge.js";
export { readPart, type PartFile } from "./calibration/read-part.js";
export { scoreShard, type CalibrationPart, type ScoreShardOptions, type Shard } from "./calibration/shard.js";
export { plan, type CalibrationPlan, type PlanOptions } from "./calibration/plan.js";
export { writeVerified, type WriteVerifiedOptions } from "./calibration/write-verified.js";
export { readPrompts, type ReadPrompt, type ReadPromptsOptions } from "./data/read-prompts.js";
export { readSamples } from "./data/read-samples.js";
export { renderSample, type ShownSample, type ShownToken } from "./data/show-sample.js";
export { chatTemplateNames } from "./data/named-templates.js";
export type { ReadSamplesOptions } from "./data/options.js";
export type { Sample, SampleSet, SampleSource } from "./data/sample.js";
export type { Tokenizer } from "./data/tokenizer.js";
export type { Adapter, AdapterGenerateOptions, LoadAdapterOptions } from "./engine/adapter.js";
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
export type { Generator } from "./engine/generator.js";
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
export type {
  Answer,
  AnswerPiece,
  Finish,
  GenerateOptions,
  GenerationFacts,
  GeneratorOptions,
  Prompt,
} from "./generation/types.js";
export type { Candidate, Family, NamedScales } from "./lora/candidate.js";
export { AnswerWriter, type AnswerFacts, type AnswerOptions } from "./evaluation/answer-writer.js";
export type { WriteAnswers, WrittenAnswers } from "./evaluation/answering.js";
export { evaluate, type EvaluateOptions, type Evaluation } from "./evaluation/evaluate.js";
export { loadMetric, loadObjective } from "./evaluation/load-metric.js";
export { namedCandidates } from "./evaluation/name-candidates.js";
export type { Comparison, EvaluatedCandidate, EvaluationResult, MetricScore } from "./evaluation/result.js";
export { parseCandidateList, type CandidateListOptions } from "./lora/candidate-list.js";
export { measureSpeed, type MeasureSpeedOptions } from "./evaluation/speed.js";
export type { SpeedReport, SpeedRow, SpeedSpread } from "./evaluation/speed-report.js";
export { checkCompatible } from "./lora/compatibility.js";
export { describeFile, type AdapterDescription, type ModelDescription } from "./lora/describe.js";
export { formatLayerScales } from "./lora/format-layer-scales.js";
export { layerNorms, type LayerNorm } from "./lora/layer-norms.js";
export { parseKeep } from "./lora/keep.js";
export { parseLayerScales, type LayerGrammarOptions, type LayerScales } from "./lora/layer-grammar.js";
export { readLayerPresets, type LayerPresets } from "./lora/layer-presets.js";
export type { Metric, MetricSample } from "./metrics/metric.js";
export { METRICS } from "./metrics/metrics.js";
export type { UserMetric, UserSample } from "./metrics/user-metric.js";
export type { Problem } from "./lora/problem.js";
export { compareFiles, type FileComparison } from "./lora/compare-files.js";
export type { LayerSelection } from "./lora/plan-trim.js";
export { writeAdapter, type WriteAdapterOptions, type WrittenAdapter } from "./lora/trim.js";
export { localPathOf } from "./hub/local-path.js";
export { readModel, type ModelFile } from "./lora/model-file.js";
export { adapterPathOf } from "./peft/adapter-path.js";
export { writePeft, type WritePeftOptions, type WrittenPeft } from "./peft/from-gguf.js";
export { peftToGguf, type ConvertOptions } from "./peft/to-gguf.js";
export { makeRecipe, type MakeRecipeOptions, type RecipeSource } from "./recipe/make-recipe.js";
export { readRecipe } from "./recipe/read-recipe.js";
export type { Recipe, RecipeEngine, RecipeScores } from "./recipe/recipe.js";
export type { PairedCheck, ScoreChecks } from "./recipe/judge-scores.js";
export type { TrimCheck, VerificationResult } from "./recipe/verification.js";
export { verifyRecipe, type VerifyOptions } from "./recipe/verify-recipe.js";
export type {
  CalibrationResult,
  CandidateLoss,
  CandidateResult,
  Gate,
  GuardCandidate,
  GuardSection,
  Interval,
  NoSelection,
  SelectedCandidate,
  SubsetPointResult,
  SubsetSection,
  Verdict,
} from "./result.js";
export { readAnalysis } from "./results/read-analysis.js";
export { readResult } from "./results/read-result.js";
export { boundaryCandidates, scaleCandidates } from "./search/families.js";
