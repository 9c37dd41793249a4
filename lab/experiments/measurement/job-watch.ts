import type { GateOutcomes } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import type { JobEventHandler } from '../../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../../core/adaptation/job-outcome.ts';
import type { JudgedCandidate, SearchPoint } from '../records.ts';
import { rowScores } from './test-score.ts';

export interface MeasuredOld {
  readonly outcomes: GateOutcomes;
  readonly ms: number;
}

/**
 * Times one job and records its events. Times are milliseconds from the start of the job. The clock stops with the
 * ladder: later measurements are for the job's report alone, such as all gate rows of a candidate that was certain to
 * fail after a part of them.
 */
export class JobWatch {
  readonly candidates: JudgedCandidate[] = [];
  readonly search: SearchPoint[] = [];
  /** PEFT folders of the published versions, in order. */
  readonly published: string[] = [];
  /** Results of the old version, with the time until they were known. Null unless the job measured them. */
  old: MeasuredOld | null = null;
  elapsedMs = 0;
  #begun = performance.now();
  /** Time of the ladder's last step so far. */
  #climbedMs: number | null = null;
  /** Milliseconds of the measurements after the last step. */
  #reportMs = 0;

  async time(job: () => Promise<JobOutcome>): Promise<JobOutcome> {
    this.#begun = performance.now();
    let endedMs: number | null = null;
    try {
      const outcome = await job();
      endedMs = this.#climbedMs;
      return outcome.state === 'ready' ? outcome : { ...outcome, phases: this.#withoutReport(outcome.phases) };
    } finally {
      this.elapsedMs = endedMs ?? performance.now() - this.#begun;
    }
  }

  /** Takes the measurements for the report off the phases. The phases of a ready job already end with its readiness. */
  #withoutReport(phases: JobOutcome['phases']): JobOutcome['phases'] {
    return { ...phases, evaluate: Math.max(0, phases.evaluate - this.#reportMs) };
  }

  readonly onEvent: JobEventHandler = (event) => {
    const at = performance.now() - this.#begun;
    switch (event.type) {
      case 'search': {
        const { alpha, beta, rows, loss, ms } = event.evaluation;
        this.search.push({ at, alpha, beta, rows, loss, ms });
        return;
      }
      case 'candidate': {
        const { id, strategy, alpha, beta, step, verdict, metric } = event.candidate;
        const { name, value, rows } = metric;
        const outcomes = rowScores(name, event.outcomes);
        this.candidates.push({ at, id, strategy, alpha, beta, step, verdict, value, rows, outcomes });
        return;
      }
      case 'old_measured':
        this.old = { outcomes: event.outcomes, ms: at };
        return;
      // The ladder reports each of its steps, and a diverging training warns. The only later event is the end.
      case 'warning':
        this.#climbedMs = at;
        return;
      case 'ladder':
        if (event.ladder.ended) this.#reportMs = at - (this.#climbedMs ?? at);
        else this.#climbedMs = at;
        return;
      case 'publication':
        this.published.push(event.folder);
        return;
      default:
        return;
    }
  };
}
