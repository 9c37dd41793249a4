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

/**
 * Report of a job's progress. It passes each event to the job's handler, and collects the figures for the job's
 * outcome.
 */
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

  /** Sets the planned number of training steps, which applies until a training reports the number that it plans. */
  planSteps(steps: number): void {
    this.#totalSteps = steps;
  }

  /** Sets the target, the value of the metric that the gate asks for. The next report of the baselines contains it. */
  setTarget(target: number): void {
    this.#target = target;
  }

  reportBaselines(found: Partial<Baselines>): void {
    this.#baselines = { ...this.#baselines, ...found };
    this.emit({ type: 'baselines', target: this.#target, baselines: this.#baselines });
  }

  /** Passes a publication to the job's handler. Once the candidate is stored durably, the job counts as ready. */
  async publish(publication: Publication): Promise<void> {
    await this.#onEvent(publication);
    this.markReady();
  }

  /** Records that the job is ready, and how long that took. Only the first call has an effect. */
  markReady(): void {
    const phases = this.#clock.phases();
    this.#ready ??= { readyMs: totalMs(phases), phases };
  }

  /** Milliseconds that each phase took until the job was ready or, if it is not, until now. */
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
