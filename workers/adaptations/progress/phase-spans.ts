import type { Phase } from '../../../core/options/phases.ts';
import { inSpan, type Span, type Tracing } from '../../../src/platform/tracing/tracing.ts';

/** Trace that the spans of a job are added to. */
export interface JobTrace {
  readonly tracing: Tracing;
  /** Span of the whole job. */
  readonly parent: string | null;
}

/**
 * Spans of a running job's phases, one after the other. Their parent is passed explicitly, because a job's events
 * arrive on the channel to the training process, which was opened before the job began.
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
