import type { JobOptions } from '../../options/job-options.ts';
import { DEFAULT_JOB_OPTIONS } from '../../options/job-settings.ts';
import type { Adapter, LoraFactors, TrainableArrays } from '../../models/lora/adapter.ts';
import { mapTrainable } from '../../models/lora/trainable-arrays.ts';
import { productGradients } from './product-gradients.ts';

/** L2 regularization of fine-tuning, which is strong at first and relaxed later. */
export interface RegularizationOptions {
  /**
   * Course of λ from `strong` to `relaxed`. `two_stage` holds `strong` until `strongUntil`, follows half a cosine until
   * `relaxedFrom`, and then holds `relaxed`. `cosine` and `linear` decrease over the whole run. `none` has no penalty.
   */
  readonly schedule: JobOptions['regularize_schedule'];
  /** λ₁, the coefficient at the start. */
  readonly strong: number;
  /** λ₂, the coefficient at the end. */
  readonly relaxed: number;
  /** Share of the steps after which `two_stage` begins to relax; 0 ≤ strongUntil ≤ relaxedFrom ≤ 1. */
  readonly strongUntil: number;
  /** Share of the steps after which `two_stage` has λ₂. */
  readonly relaxedFrom: number;
  /**
   * Target θ₀ of the penalty: the adapter that fine-tuning started from, zero (weight decay by gradient), or the fused
   * update before its truncation (`fused`; the caller has to pass it). The fused update has a higher rank than the
   * adapter, so the penalty then acts on the products s · B A, and otherwise on every element of A and B. DoRA's
   * magnitudes are pulled towards those of θ₀, but never towards zero, because a magnitude of zero would silence the
   * layer itself and not just the adapter.
   */
  readonly towards: JobOptions['regularize_towards'];
}

export const DEFAULT_REGULARIZATION: RegularizationOptions = {
  schedule: DEFAULT_JOB_OPTIONS.regularize_schedule,
  strong: DEFAULT_JOB_OPTIONS.regularize_strength,
  relaxed: 0,
  strongUntil: 0.3,
  relaxedFrom: 0.6,
  towards: 'initial',
};

/** No penalty, as in training from scratch. */
export const NO_REGULARIZATION: RegularizationOptions = { ...DEFAULT_REGULARIZATION, schedule: 'none' };

/** Gradients by module, in the shapes of the factors. */
export type FactorGradients = ReadonlyMap<string, TrainableArrays>;

/**
 * λ at one step.
 * @param step number of the step, from 0
 * @param steps number of steps of the whole run
 * @throws RangeError if a coefficient is negative or the shares are out of order
 */
export function l2Coefficient(options: RegularizationOptions, step: number, steps: number): number {
  const { schedule, strong, relaxed, strongUntil, relaxedFrom } = options;
  if (!(strong >= 0 && relaxed >= 0 && strongUntil >= 0 && strongUntil <= relaxedFrom && relaxedFrom <= 1)) {
    const expected = 'strong and relaxed ≥ 0 and 0 ≤ strongUntil ≤ relaxedFrom ≤ 1';
    throw new RangeError(`regularization is ${JSON.stringify(options)}, expected ${expected}`);
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

/** The penalty of one step: ½ λ ‖θ − θ₀‖² over every element of A and B, or ½ λ ‖s (BA − B₀A₀)‖² towards `fused`. */
export interface Penalty {
  readonly lambda: number;
  readonly towards: RegularizationOptions['towards'];
  /** θ₀; null stands for zero. */
  readonly anchor: Adapter | null;
}

/** Default anchor θ₀ of the options: the initial adapter, or null for zero. */
export function anchorOf(options: RegularizationOptions, initial: Adapter): Adapter | null {
  return options.towards === 'zero' ? null : initial;
}

/**
 * Adds the gradients of the penalty to those of the loss. The arguments stay unchanged; arrays that the penalty does
 * not touch are shared with them.
 * @param gradients gradients of the loss, for modules of the adapter
 * @param adapter the adapter at which the gradients were computed
 * @throws RangeError for gradients of a module that the adapter or the fused update does not have
 */
export function withL2Gradients(gradients: FactorGradients, adapter: Adapter, penalty: Penalty): FactorGradients {
  const { lambda, towards, anchor } = penalty;
  if (lambda === 0) return gradients;
  const regularized = [...gradients].map(([module, gradient]) => {
    const factors = adapter.modules.get(module);
    if (!factors) throw new RangeError(`there are gradients of module ${module}, which the adapter does not have`);
    const origin = anchor?.modules.get(module);
    const ofProduct = towards === 'fused' ? productGradients(factors, fusedOf(module, anchor)) : null;
    const arrays = mapTrainable(gradient, (slopes, name) => {
      if (name === 'magnitude') {
        return factors.magnitude && origin?.magnitude
          ? withPull(slopes, lambda, factors.magnitude, origin.magnitude)
          : slopes;
      }
      return ofProduct
        ? slopes.map((value, i) => value + lambda * ofProduct[name][i]!)
        : withPull(slopes, lambda, factors[name], origin?.[name]);
    });
    return [module, arrays] as const;
  });
  return new Map(regularized);
}

/** Factors of one module of the fused update that the penalty pulls towards. */
function fusedOf(module: string, fused: Adapter | null): LoraFactors {
  const factors = fused?.modules.get(module);
  if (factors) return factors;
  throw new RangeError(`the fused update that the penalty draws towards has no module ${module}`);
}

/** gradient + λ (values − origin); without an origin, gradient + λ values. */
function withPull(
  gradient: Float32Array,
  lambda: number,
  values: Float32Array,
  origin: Float32Array | undefined,
): Float32Array {
  return origin
    ? gradient.map((slope, i) => slope + lambda * (values[i]! - origin[i]!))
    : gradient.map((slope, i) => slope + lambda * values[i]!);
}
