import type { LadderEvent, CandidateRecord, RungReport } from '../method/ladder/adaptation.ts';
import type { Baselines, Candidate, GateOutcomes, MetricPointMessage, Rung, TaskRows } from '../../workers/training/protocol.ts';
import type { Phase } from '../options/phases.ts';

/** Who hears of a job's way: the parent process, or a terminal. */
export interface JobListener {
  phase(phase: Phase): void;
  progress(step: number, totalSteps: number): void;
  metrics(points: readonly MetricPointMessage[]): void;
  /** Rungs, search evaluations, candidates, warnings. */
  event(event: LadderEvent): void;
  baselines(target: number | null, baselines: Baselines): void;
  /** The adapter was measured on the old base; not where that was known. */
  old(outcomes: GateOutcomes): void;
  /**
   * Makes a candidate durable before it resolves.
   * @param dir PEFT folder; may be removed afterwards
   * @param outcomes of the candidate on the new base
   */
  publish(sequence: number, dir: string, candidate: Candidate, outcomes: GateOutcomes): Promise<void>;
}

/** A candidate of the ladder as messages and results name it. */
export function toCandidate(record: CandidateRecord, data: TaskRows): Candidate {
  const { strategy, alpha, beta, step, passed, bound, negativeFlips, failed } = record;
  const { name, value, standardError, rows } = record.metric;
  const measured = { metric: name, value, standardError, examples: rows };
  return { strategy, alpha, beta, step, ...measured, passed, bound, negativeFlips, failed, data };
}

/** A rung of the ladder as results name it. */
export function toRung({ candidate, ...report }: RungReport, data: TaskRows): Rung {
  return { ...report, candidate: candidate && toCandidate(candidate, data) };
}
