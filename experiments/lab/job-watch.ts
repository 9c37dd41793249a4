import type { JobListener } from '../../core/adaptation/job-listener.ts';
import type { AdaptOutcome, GateOutcomes } from '../../workers/training/protocol.ts';
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

  async time(job: () => Promise<AdaptOutcome>): Promise<AdaptOutcome> {
    this.#begun = performance.now();
    const outcome = await job();
    this.elapsedMs = performance.now() - this.#begun;
    return outcome;
  }

  readonly listener: JobListener = {
    phase: () => undefined,
    progress: () => undefined,
    metrics: () => undefined,
    baselines: () => undefined,
    old: (outcomes) => void (this.old = outcomes),
    event: (event) => {
      const at = performance.now() - this.#begun;
      if (event.type === 'search') {
        const { alpha, beta, rows, loss, ms } = event.evaluation;
        this.search.push({ at, alpha, beta, rows, loss, ms });
      }
      if (event.type === 'candidate') {
        const { id, strategy, alpha, beta, step, passed, metric } = event.candidate;
        this.candidates.push({ at, id, strategy, alpha, beta, step, passed, value: metric.value });
      }
    },
    publish: (_sequence, dir) => {
      this.published.push(dir);
      return Promise.resolve();
    },
  };
}
