/** Where a run diverged. */
export interface Divergence {
  readonly step: number;
  readonly learningRate: number;
  /**
   * Steps after which the parameters were still in order: the loss that they gave was measured and is no part of what
   * raised the alarm. Negative where the run was bad from its first step.
   */
  readonly soundStep: number;
}

/** A run whose loss is no number any more or has grown far beyond its beginning; the same again would end the same. */
export class TrainingDivergedError extends Error {
  readonly code = 'training_diverged';
  readonly step: number;
  readonly learningRate: number;
  readonly soundStep: number;
  readonly #found: string;

  /** @param checkpointStep of the last good checkpoint; null where there is none, left out where none are kept */
  constructor(found: string, at: Divergence, checkpointStep?: number | null) {
    const { step, learningRate } = at;
    const checkpoint = checkpointStep === undefined ? '' : `; ${describeCheckpoint(checkpointStep)}`;
    const rate = Number(learningRate.toPrecision(4));
    super(`training diverged at step ${step}: ${found}; the learning rate was ${rate}, try a lower one${checkpoint}`);
    this.name = 'TrainingDivergedError';
    this.#found = found;
    this.step = step;
    this.learningRate = learningRate;
    this.soundStep = at.soundStep;
  }

  /** The same error, which also says to which of the run's checkpoints (by their steps) one can go back. */
  withCheckpoints(steps: readonly number[]): TrainingDivergedError {
    const good = steps.filter((step) => step <= this.soundStep);
    return new TrainingDivergedError(this.#found, this, good.length > 0 ? Math.max(...good) : null);
  }
}

function describeCheckpoint(step: number | null): string {
  if (step === null) return 'there is no good checkpoint';
  return `the last good checkpoint is that of step ${step}${step === 0 ? ', the initial adapter' : ''}`;
}

/** Losses that a monitor remembers; plain JSON. */
export interface LossHistory {
  readonly first: readonly number[];
  readonly last: readonly number[];
}

const FIRST = 10;
const LAST = 20;
/** Steps whose mean has to be bad: a single hard batch is no divergence. */
const ALARM = 10;

/** Follows the loss of a run, smooths it and raises the alarm. */
export class LossMonitor {
  readonly #limit: number;
  readonly #first: number[];
  readonly #last: number[];

  /** @param vocabSize a model that knows nothing has a loss of ln(vocabSize); well above it, it is worse than that */
  constructor(vocabSize: number, history: LossHistory = { first: [], last: [] }) {
    this.#limit = 1.5 * Math.log(vocabSize);
    this.#first = [...history.first];
    this.#last = [...history.last];
  }

  /** @throws TrainingDivergedError for a loss that is not finite, or a mean over 10 steps twice that of the first 10 */
  record(loss: number, at: { step: number; learningRate: number }): void {
    // The loss of step n is that of the parameters after n − 1 steps.
    if (!Number.isFinite(loss))
      throw new TrainingDivergedError(`the loss is ${loss}`, { ...at, soundStep: at.step - 2 });
    if (this.#first.length < FIRST) this.#first.push(loss);
    this.#last.push(loss);
    if (this.#last.length > LAST) this.#last.shift();
    if (this.#last.length < ALARM) return;
    const recent = mean(this.#last.slice(-ALARM));
    const begun = mean(this.#first);
    if (recent <= Math.max(2 * begun, this.#limit)) return;
    const found = `the loss rose from ${begun.toFixed(3)} to ${recent.toFixed(3)}`;
    throw new TrainingDivergedError(found, { ...at, soundStep: at.step - 1 - ALARM });
  }

  /** Mean of the last 20 steps at most; NaN before the first. */
  recent(): number {
    return mean(this.#last);
  }

  state(): LossHistory {
    return { first: [...this.#first], last: [...this.#last] };
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
