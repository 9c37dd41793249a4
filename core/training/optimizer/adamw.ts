/** Hyper-parameters of {@link adamwUpdate}; the learning rate is given to each step by a schedule. */
export interface AdamwOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled: a step shrinks the weights by learningRate · weightDecay. */
  readonly weightDecay: number;
}

export const DEFAULT_ADAMW: AdamwOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };

/** Arrays by parameter name; an update needs parameters, gradients and state with the same names and lengths. */
export type Arrays = ReadonlyMap<string, Float32Array>;

/** What the optimizer remembers between steps; plain data, so that a checkpoint can hold it. */
export interface AdamwState {
  /** Steps taken. */
  readonly step: number;
  /** Running mean of the gradients. */
  readonly mean: Arrays;
  /** Running mean of their squares. */
  readonly variance: Arrays;
}

/** The state before the first step: zeros in the shapes of the parameters. */
export function adamwInit(parameters: Arrays): AdamwState {
  return { step: 0, mean: zerosLike(parameters), variance: zerosLike(parameters) };
}

export interface AdamwStep {
  readonly parameters: Arrays;
  readonly state: AdamwState;
}

/**
 * One AdamW step with bias correction (Loshchilov & Hutter 2019, algorithm 2; the form PyTorch uses):
 * θ ← θ · (1 − η λ) − η · m̂ / (√v̂ + ε). The parameters are new arrays; the moments change in place, so that a state is
 * used up by the step that follows it.
 * @throws RangeError if a gradient is missing or its length differs; nothing has changed then
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
    gradient: matching(gradients, name, values.length),
  }));
  const updated = matched.map(({ name, values, gradient }) => {
    const moments = { mean: state.mean.get(name)!, variance: state.variance.get(name)! };
    return [name, updatedArray(values, gradient, moments, settings)] as const;
  });
  return { parameters: new Map(updated), state: { ...state, step: settings.step } };
}

interface Moments {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

function updatedArray(
  values: Float32Array,
  gradient: Float32Array,
  { mean, variance }: Moments,
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

function matching(gradients: Arrays, name: string, length: number): Float32Array {
  const gradient = gradients.get(name);
  if (gradient?.length !== length) {
    const found = gradient ? `${gradient.length} elements` : 'none';
    throw new RangeError(`the gradient of ${name} has ${found}, expected ${length} elements`);
  }
  return gradient;
}

function zerosLike(arrays: Arrays): Map<string, Float32Array> {
  return new Map([...arrays].map(([name, values]) => [name, new Float32Array(values.length)]));
}
