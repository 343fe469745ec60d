import { UsageError } from "../errors.js";
import { knownCandidates } from "../evaluation/name-candidates.js";
import type { NamedScales } from "../lora/candidate.js";
import type { Claim } from "../lora/provenance.js";
import type { CalibrationResult, CandidateResult } from "../result.js";
import { nearestNames } from "./nearest-names.js";

/** A candidate that a calibration has tried, with what it says of it. */
export interface TriedCandidate {
  readonly scales: NamedScales;
  readonly judged: CandidateResult;
  readonly claim: Claim | undefined;
  readonly isSelected: boolean;
}

/**
 * @param path of the result, for messages
 * @param id default: the selected candidate
 * @throws UsageError CANDIDATE_UNKNOWN with `details.near`; NOTHING_SELECTED
 */
export function triedCandidate(result: CalibrationResult, path: string, id?: string): TriedCandidate {
  const { candidates, selected } = result;
  const listing = `\`lora-boundary report ${path}\` lists all ${candidates.length}`;
  const name = id?.trim() ?? selected?.candidate.id;
  if (name === undefined) {
    throw new UsageError(
      "NOTHING_SELECTED",
      `${path}: expected a selected candidate, or one named by \`--candidate\`, but nothing was selected, since nothing was proven. Name one with --candidate, and it is written with its verdict; ${listing}.`,
      { details: { option: "candidate", path } },
    );
  }
  const scales = knownCandidates(result).find((known) => known.id === name);
  const judged = candidates.find((candidate) => candidate.id === name);
  if (scales === undefined || judged === undefined) {
    const ids = candidates.map((candidate) => candidate.id);
    const near = nearestNames(name, ids);
    const hint = near.length === 0 ? "" : ` Did you mean ${near.join(" or ")}?`;
    throw new UsageError(
      "CANDIDATE_UNKNOWN",
      `${path}: expected the name of a candidate that was tried for \`--candidate\` but received ${name === "" ? "nothing" : name}.${hint} ${listing}.`,
      { details: { option: "candidate", path, candidate: name, near } },
    );
  }
  return { scales, judged, claim: claimOf(result, name), isSelected: name === selected?.candidate.id };
}

/** What a result proves of one of its candidates, and on what. */
export function claimOf(result: CalibrationResult, id: string): Claim | undefined {
  const judged = result.candidates.find((candidate) => candidate.id === id);
  if (judged === undefined) return undefined;
  const { verdict, samples } = judged;
  const { objective, margin, confidence, data, inSample = false } = result;
  const guard = result.guard?.candidates.find((candidate) => candidate.id === id)?.verdict;
  return { verdict, guard, objective, margin, confidence, samples, data_sha256: data.sha256, in_sample: inSample };
}
