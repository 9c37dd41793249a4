/** Hyperparameters of AdamW, except for the learning rate, which a schedule sets for each step. */
export interface AdamwOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /**
   * Weight decay, decoupled from the gradients: each step reduces the weights by the share learningRate · weightDecay.
   */
  readonly weightDecay: number;
}

export const DEFAULT_ADAMW: AdamwOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };

/**
 * Arrays of numbers by parameter name. In an update, parameters, gradients and moments must have the same names and
 * lengths.
 */
export type Arrays = ReadonlyMap<string, Float32Array>;

/** State of AdamW between two steps, as plain data, so that a checkpoint can hold it. */
export interface AdamwState {
  /** Number of steps that the optimizer has taken. */
  readonly step: number;
  /** Exponential running mean of the gradients, one number for each weight. */
  readonly mean: Arrays;
  /** Exponential running mean of the squared gradients, one number for each weight. */
  readonly variance: Arrays;
}

/** Returns the state of AdamW before the first step: zeros for every weight of the parameters. */
export function adamwInit(parameters: Arrays): AdamwState {
  return { step: 0, mean: zerosLike(parameters), variance: zerosLike(parameters) };
}

export interface AdamwStep {
  readonly parameters: Arrays;
  readonly state: AdamwState;
}

/**
 * Takes one AdamW step with bias correction, θ ← θ · (1 − η λ) − η · m̂ / (√v̂ + ε) (Loshchilov & Hutter 2019,
 * algorithm 2, in the form that PyTorch uses). The new parameters are new arrays. The state's running means are changed
 * in place, so the given state must not be used again.
 * @throws RangeError if an array is missing or its length differs; nothing has changed then
 */
export function adamwUpdate(
  { parameters, state }: AdamwStep,
  gradients: Arrays,
  learningRate: number,
  options: Partial<AdamwOptions> = {},
): AdamwStep {
  const settings = { ...DEFAULT_ADAMW, ...options, learningRate, step: state.step + 1 };
  const matched = [...parameters].map(([name, values]) => ({
    name,
    values,
    gradient: matching('gradient', gradients, name, values.length),
    mean: matching('mean', state.mean, name, values.length),
    variance: matching('variance', state.variance, name, values.length),
  }));
  const updated = matched.map((one) => [one.name, updatedArray(one, settings)] as const);
  return { parameters: new Map(updated), state: { ...state, step: settings.step } };
}

interface Matched {
  readonly values: Float32Array;
  readonly gradient: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

function updatedArray(
  { values, gradient, mean, variance }: Matched,
  { beta1, beta2, epsilon, weightDecay, learningRate, step }: AdamwOptions & { learningRate: number; step: number },
): Float32Array {
  const updated = new Float32Array(values.length);
  const stepSize = learningRate / (1 - beta1 ** step);
  const varianceCorrection = 1 / Math.sqrt(1 - beta2 ** step);
  const kept = 1 - learningRate * weightDecay;
  for (let index = 0; index < values.length; index++) {
    const slope = gradient[index]!;
    const m = beta1 * mean[index]! + (1 - beta1) * slope;
    const v = beta2 * variance[index]! + (1 - beta2) * slope * slope;
    mean[index] = m;
    variance[index] = v;
    updated[index] = values[index]! * kept - (stepSize * m) / (Math.sqrt(v) * varianceCorrection + epsilon);
  }
  return updated;
}

function matching(what: string, arrays: Arrays, name: string, length: number): Float32Array {
  const array = arrays.get(name);
  if (array?.length === length) return array;
  const found = array ? `has ${array.length} elements` : 'is missing';
  throw new RangeError(`the ${what} of ${name} ${found}, expected ${length} elements`);
}

function zerosLike(arrays: Arrays): Map<string, Float32Array> {
  return new Map([...arrays].map(([name, values]) => [name, new Float32Array(values.length)]));
}
