import type { JobOptions } from '../../options/job-options.ts';
import { DEFAULT_JOB_OPTIONS } from '../../options/job-settings.ts';
import type { Adapter, TrainableArrays } from '../../models/lora/adapter.ts';
import { mapTrainable, trainableArrays } from '../../models/lora/trainable-arrays.ts';
import { productGradients, squaredProductDistance } from './product-space.ts';

/** L2 regularization of fine-tuning: strong first, relaxed later. */
export interface RegularizationOptions {
  /**
   * How λ goes from `strong` to `relaxed`: in two stages (held until `strongUntil`, then half a cosine to
   * `relaxedFrom`), or along half a cosine or a line over the whole run. `none` is no penalty.
   */
  readonly schedule: JobOptions['regularize_schedule'];
  /** λ₁, at the start. */
  readonly strong: number;
  /** λ₂, at the end. */
  readonly relaxed: number;
  /** Of `two_stage`: shares of the steps, 0 ≤ strongUntil ≤ relaxedFrom ≤ 1. */
  readonly strongUntil: number;
  readonly relaxedFrom: number;
  /**
   * What is drawn to the target: every element of A and B, or the update s · B A, which stays the same where the factors
   * only turn into each other.
   */
  readonly space: JobOptions['regularize_space'];
  /**
   * θ₀ of the penalty: the adapter that fine-tuning started from, or zero (weight decay by gradient). DoRA's magnitudes
   * are drawn to the initial ones in either space, and never to zero, where they would silence the layer and not the
   * adapter.
   */
  readonly target: JobOptions['regularize_towards'];
}

export const DEFAULT_REGULARIZATION: RegularizationOptions = {
  schedule: DEFAULT_JOB_OPTIONS.regularize_schedule,
  strong: DEFAULT_JOB_OPTIONS.regularize_strength,
  relaxed: 0,
  strongUntil: 0.3,
  relaxedFrom: 0.6,
  space: DEFAULT_JOB_OPTIONS.regularize_space,
  target: DEFAULT_JOB_OPTIONS.regularize_towards,
};

/** No penalty: training from scratch. */
export const NO_REGULARIZATION: RegularizationOptions = { ...DEFAULT_REGULARIZATION, schedule: 'none' };

/** Gradients by module, in the shapes of the factors. */
export type FactorGradients = ReadonlyMap<string, TrainableArrays>;

/**
 * λ of one step.
 * @param step from 0
 * @param steps of the whole run
 * @throws RangeError where the options contradict each other
 */
export function l2Coefficient(options: RegularizationOptions, step: number, steps: number): number {
  const { schedule, strong, relaxed, strongUntil, relaxedFrom } = options;
  if (!(strong >= 0 && relaxed >= 0 && strongUntil >= 0 && strongUntil <= relaxedFrom && relaxedFrom <= 1)) {
    throw new RangeError(
      `regularization ${JSON.stringify(options)}: expected λ ≥ 0 and 0 ≤ strongUntil ≤ relaxedFrom ≤ 1`,
    );
  }
  if (schedule === 'none') return 0;
  const progress = steps > 0 ? step / steps : 1;
  const [from, to] = schedule === 'two_stage' ? [strongUntil, relaxedFrom] : [0, 1];
  if (progress < from) return strong;
  if (progress >= to) return relaxed;
  const phase = (progress - from) / (to - from);
  const remaining = schedule === 'linear' ? 1 - phase : 0.5 * (1 + Math.cos(Math.PI * phase));
  return relaxed + (strong - relaxed) * remaining;
}

/** One step's penalty. */
export interface Penalty {
  readonly lambda: number;
  readonly space: RegularizationOptions['space'];
  /** θ₀, or null for zero. */
  readonly anchor: Adapter | null;
}

/** ½ λ ‖θ − θ₀‖² over every element of the factors, or ½ λ ‖s (BA − B₀A₀)‖²; in either, magnitudes towards an adapter's. */
export function l2Penalty(adapter: Adapter, { lambda, space, anchor }: Penalty): number {
  let squares = 0;
  for (const [module, factors] of adapter.modules) {
    const origin = anchor?.modules.get(module);
    if (space === 'product') squares += squaredProductDistance(factors, origin ?? null);
    for (const [name, values] of trainableArrays(factors)) {
      if (isDrawnByElement(name, space, anchor)) squares += squaredDistance(values, origin?.[name]);
    }
  }
  return 0.5 * lambda * squares;
}

/**
 * Gradients of the loss plus those of {@link l2Penalty}; nothing is changed in place.
 * @param gradients keyed like the adapter's modules
 */
export function withL2Gradients(gradients: FactorGradients, adapter: Adapter, penalty: Penalty): FactorGradients {
  const { lambda, space, anchor } = penalty;
  if (lambda === 0) return gradients;
  const regularized = [...gradients].map(([module, gradient]) => {
    const factors = adapter.modules.get(module)!;
    const origin = anchor?.modules.get(module);
    const ofProduct = space === 'product' ? productGradients(factors, origin ?? null) : null;
    const arrays = mapTrainable(gradient, (slopes, name) => {
      if (ofProduct && name !== 'magnitude') return plus(slopes, ofProduct[name], lambda);
      return isDrawnByElement(name, space, anchor) ? pulled(slopes, factors[name]!, origin?.[name], lambda) : slopes;
    });
    return [module, arrays] as const;
  });
  return new Map(regularized);
}

/** θ₀ of the options: the initial adapter, or null for zero. */
export function anchorOf(options: RegularizationOptions, initial: Adapter): Adapter | null {
  return options.target === 'initial' ? initial : null;
}

function isDrawnByElement(name: keyof TrainableArrays, space: Penalty['space'], anchor: Adapter | null): boolean {
  return name === 'magnitude' ? anchor !== null : space === 'factors';
}

function plus(gradient: Float32Array, slopes: Float32Array, lambda: number): Float32Array {
  return gradient.map((value, i) => value + lambda * slopes[i]!);
}

function pulled(
  gradient: Float32Array,
  values: Float32Array,
  origin: Float32Array | undefined,
  lambda: number,
): Float32Array {
  const out = new Float32Array(gradient.length);
  if (!origin) for (let i = 0; i < out.length; i++) out[i] = gradient[i]! + lambda * values[i]!;
  else for (let i = 0; i < out.length; i++) out[i] = gradient[i]! + lambda * (values[i]! - origin[i]!);
  return out;
}

function squaredDistance(values: Float32Array, origin: Float32Array | undefined): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i]! - (origin?.[i] ?? 0)) ** 2;
  return sum;
}
