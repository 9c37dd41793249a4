import type { GateOutcomes } from '../../core/adaptation/measurements/gate-outcomes.ts';
import type { JobEventHandler } from '../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../core/adaptation/job-outcome.ts';
import type { JudgedCandidate, SearchPoint } from '../records.ts';

/** Times one job and records what it reports; times are milliseconds from the start of the job. */
export class JobWatch {
  readonly candidates: JudgedCandidate[] = [];
  readonly search: SearchPoint[] = [];
  /** PEFT folders of the published versions, in order. */
  readonly published: string[] = [];
  /** The old version on the old base; null unless the job measured it. */
  old: GateOutcomes | null = null;
  elapsedMs = 0;
  #begun = performance.now();

  async time(job: () => Promise<JobOutcome>): Promise<JobOutcome> {
    this.#begun = performance.now();
    try {
      return await job();
    } finally {
      this.elapsedMs = performance.now() - this.#begun;
    }
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
        const { value, curtailed } = metric;
        this.candidates.push({ at, id, strategy, alpha, beta, step, verdict, value, ...(curtailed && { curtailed }) });
        return;
      }
      case 'old_measured':
        this.old = event.outcomes;
        return;
      case 'publication':
        this.published.push(event.folder);
        return;
      default:
        return;
    }
  };
}
