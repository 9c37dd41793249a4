import type { Phase } from '../../../core/options/phases.ts';
import { inSpan, type Span, type Tracing } from '../../../src/platform/tracing/tracing.ts';

/** Trace that the spans of a job's parts belong to. */
export interface JobTrace {
  readonly tracing: Tracing;
  /** Span of the job. */
  readonly parent: string | null;
}

/**
 * Span for each phase of a running job, one after the other. Its parent is given explicitly, because a job's events
 * arrive on the channel to the training process, which is older than the job.
 */
export class PhaseSpans {
  readonly #trace: JobTrace;
  #running: Span | null = null;

  constructor(trace: JobTrace) {
    this.#trace = trace;
  }

  begin(phase: Phase): void {
    this.end();
    const { tracing, parent } = this.#trace;
    this.#running = tracing.begin(`job.phase.${phase}`, { parent });
  }

  /** Runs a publication in a span beside those of the phases. */
  publication<T>(strategy: string, publish: () => Promise<T>): Promise<T> {
    const { tracing, parent } = this.#trace;
    return inSpan(tracing, 'job.publication', { parent, attributes: { 'readapt.strategy': strategy } }, publish);
  }

  end(): void {
    this.#running?.end();
    this.#running = null;
  }
}
