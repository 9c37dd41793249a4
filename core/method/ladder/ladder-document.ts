import { certificateDocument } from '../gate/certificate-document.ts';
import type { CandidateRecord } from './candidate.ts';
import type { LadderProgress, RungReport } from './ladder-state.ts';

/** Number of candidates kept from the beginning and from the end of a list; those between are left out. */
const SHOWN_AT_EACH_END = 50;

export type LadderDocument = ReturnType<typeof ladderDocument>;

/** Converts the progress of a ladder to the JSON in which the API and the commands show it. */
export function ladderDocument({ current, rungs, candidates, publishedId, ended }: LadderProgress) {
  const leftOut = Math.max(0, candidates.length - 2 * SHOWN_AT_EACH_END);
  const shown =
    leftOut === 0 ? candidates : [...candidates.slice(0, SHOWN_AT_EACH_END), ...candidates.slice(-SHOWN_AT_EACH_END)];
  return {
    ended,
    current_rung: current,
    published_candidate: publishedId,
    rungs: rungs.map((report) => rungDocument(report, { candidates, ended })),
    candidates: shown.map(candidateDocument),
    candidates_left_out: leftOut,
  };
}

function rungDocument(
  { rung, result, reason, ms, candidate }: RungReport,
  { candidates, ended }: Pick<LadderProgress, 'candidates' | 'ended'>,
) {
  const isOpen = result === 'not_run' && !ended;
  return {
    rung,
    result: isOpen ? null : result,
    reason: isOpen ? null : reason,
    ms,
    best_candidate: candidate?.id ?? null,
    looks: candidates.filter((judged) => judged.rung === rung).length,
  };
}

function candidateDocument(candidate: CandidateRecord) {
  const { id, rung, searchLoss, elapsedMs, judgedIn } = candidate;
  return {
    id,
    rung,
    ...madeDocument(candidate),
    search_loss: finite(searchLoss),
    elapsed_ms: elapsedMs,
    gate: { ...gateDocument(candidate), needed: finite(candidate.needed), judged_in: judgedIn ?? null },
  };
}

/** Converts to JSON how a candidate was made: strategy, fusion coefficients and number of training steps. */
export function madeDocument({ strategy, alpha, beta, step }: CandidateRecord) {
  return { strategy, fusion_alpha: alpha, fusion_beta: beta, step };
}

/**
 * Converts the gate's measurement and verdict of a candidate to JSON. `best_case` is always null here; the field
 * remains for readers of candidates whose look was ended by an earlier release.
 */
export function gateDocument({ metric, bound, negativeFlips, verdict, certificate, failed }: CandidateRecord) {
  const { value, standardError, rows: measured, available = measured } = metric;
  return {
    value: finite(value),
    best_case: null,
    standard_error: finite(standardError),
    bound: finite(bound),
    negative_flips: negativeFlips,
    rows: available,
    measured_rows: measured,
    ended: measured === available ? null : verdict === 'passed' ? ('certified' as const) : ('futile' as const),
    verdict,
    certificate: certificateDocument(certificate),
    failed,
  };
}

/**
 * Returns a finite number unchanged, and null for anything else: JSON cannot hold the NaN and Infinity of a training
 * that diverged.
 */
function finite(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}
