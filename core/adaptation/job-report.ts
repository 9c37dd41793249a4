import type { BaseCache } from '../engine/base-cache.ts';
import type { Phase } from '../options/phases.ts';
import { NO_BASELINES, type Baselines } from './baselines.ts';
import type { JobEvent, JobEventHandler, Publication } from './job-events.ts';
import type { JobOutcome } from './job-outcome.ts';
import type { JobSpec } from './job-spec.ts';
import type { CountedFrom } from './measurements/gate-outcomes.ts';
import { PhaseClock, totalMs } from './phase-clock.ts';
import type { RowFormat } from './setup/row-format.ts';

/** Inputs of one attempt at a job, with the report that collects its progress. */
export interface JobAttempt {
  readonly bases: BaseCache;
  readonly spec: JobSpec;
  readonly signal: AbortSignal;
  readonly report: JobReport;
}

type ReportedFigures = Pick<
  JobOutcome,
  'target' | 'baselines' | 'anchor' | 'oldKnown' | 'rowFormat' | 'warnings' | 'totalSteps' | 'readyMs'
>;

/** Report of a job's progress: it sends each event to the job's handler, and collects the figures of the outcome. */
export class JobReport {
  readonly #onEvent: JobEventHandler;
  readonly #clock: PhaseClock;
  readonly #warnings: string[] = [];
  #baselines = NO_BASELINES;
  #oldKnown = false;
  #anchor: CountedFrom | null = null;
  #target: number | null = null;
  #rowFormat: RowFormat | null = null;
  #ready: Pick<JobOutcome, 'readyMs' | 'phases'> | null = null;
  #totalSteps = 0;

  /** Starts the job's clock, in the phase `prepare`. */
  constructor(onEvent: JobEventHandler) {
    this.#onEvent = onEvent;
    this.#clock = new PhaseClock('prepare', (phase) => this.emit({ type: 'phase', phase }));
  }

  get baselines(): Baselines {
    return this.#baselines;
  }

  emit(event: Exclude<JobEvent, Publication>): void {
    if (event.type === 'progress') this.#totalSteps = event.totalSteps;
    if (event.type === 'warning') this.#warnings.push(event.message);
    if (event.type === 'old_known') this.#oldKnown = true;
    if (event.type === 'row_format') this.#rowFormat = event.format;
    if (event.type === 'anchor') this.#anchor = event.anchor;
    void this.#onEvent(event);
  }

  warn(message: string): void {
    this.emit({ type: 'warning', message });
  }

  enterPhase(phase: Phase): void {
    this.#clock.enter(phase);
  }

  /** Sets the number of training steps to report as planned, until a training reports a number itself. */
  planSteps(steps: number): void {
    this.#totalSteps = steps;
  }

  /** Sets the gate's target, which is sent together with the next report of the baselines. */
  setTarget(target: number): void {
    this.#target = target;
  }

  reportBaselines(found: Partial<Baselines>): void {
    this.#baselines = { ...this.#baselines, ...found };
    this.emit({ type: 'baselines', target: this.#target, baselines: this.#baselines });
  }

  /** Sends a publication, and stops the job's clock once it is durable. */
  async publish(publication: Publication): Promise<void> {
    await this.#onEvent(publication);
    this.markReady();
  }

  /** Records the time to readiness at the first call; later calls change nothing. */
  markReady(): void {
    const phases = this.#clock.phases();
    this.#ready ??= { readyMs: totalMs(phases), phases };
  }

  /** Milliseconds by phase up to readiness, or until now if the job is not ready. */
  phases(): JobOutcome['phases'] {
    return this.#ready?.phases ?? this.#clock.phases();
  }

  figures(): ReportedFigures {
    return {
      target: this.#target,
      baselines: this.#baselines,
      anchor: this.#anchor,
      oldKnown: this.#oldKnown,
      rowFormat: this.#rowFormat,
      warnings: this.#warnings,
      totalSteps: this.#totalSteps,
      readyMs: this.#ready?.readyMs ?? null,
    };
  }
}
