/** A run whose loss is no number any more or has grown far beyond its beginning; the same again would end the same. */
export class TrainingDivergedError extends Error {
  readonly code = 'training_diverged';
  readonly step: number;
  readonly learningRate: number;

  constructor(found: string, { step, learningRate }: { step: number; learningRate: number }) {
    super(`training diverged at step ${step}: ${found}; the learning rate was ${learningRate}, try a lower one`);
    this.name = 'TrainingDivergedError';
    this.step = step;
    this.learningRate = learningRate;
  }
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
    if (!Number.isFinite(loss)) throw new TrainingDivergedError(`the loss is ${loss}`, at);
    if (this.#first.length < FIRST) this.#first.push(loss);
    this.#last.push(loss);
    if (this.#last.length > LAST) this.#last.shift();
    if (this.#last.length < ALARM) return;
    const recent = mean(this.#last.slice(-ALARM));
    const begun = mean(this.#first);
    if (recent <= Math.max(2 * begun, this.#limit)) return;
    throw new TrainingDivergedError(`the loss rose from ${begun.toFixed(3)} to ${recent.toFixed(3)}`, at);
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
