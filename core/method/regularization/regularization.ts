import type { JobOptions } from '../../options/job-options.ts';
import { DEFAULT_JOB_OPTIONS } from '../../options/job-settings.ts';
import type { Adapter, LoraFactors, TrainableArrays } from '../../models/lora/adapter.ts';
import { mapTrainable } from '../../models/lora/trainable-arrays.ts';
import { productGradients } from './product-gradients.ts';

/** Settings of an L2 penalty on fine-tuning, which is strong at first and relaxed later. */
export interface RegularizationOptions {
  /**
   * Course of the penalty's coefficient λ. `two_stage` holds `strong` until `strongUntil`, follows half a cosine down
   * to `relaxed` until `relaxedFrom`, and then holds `relaxed`. `cosine` and `linear` go from `strong` to `relaxed`
   * over the whole run. `none` has no penalty.
   */
  readonly schedule: JobOptions['regularize_schedule'];
  /** Coefficient λ of the penalty at the start of the run. */
  readonly strong: number;
  /** Coefficient λ of the penalty at the end of the run. */
  readonly relaxed: number;
  /**
   * Share of the run's steps after which `two_stage` begins to relax the penalty; 0 ≤ strongUntil ≤ relaxedFrom ≤ 1.
   */
  readonly strongUntil: number;
  /** Share of the run's steps after which `two_stage` stays at the coefficient `relaxed`. */
  readonly relaxedFrom: number;
  /**
   * Values θ₀ that the penalty pulls the adapter towards: those that fine-tuning started from (`initial`), zero
   * (`zero`, a weight decay by the gradient), or the fused update before its truncation (`fused`, which the caller has
   * to pass). That update has a higher rank than the adapter, so the penalty then acts on the products s · B A, and
   * otherwise on every element of A and B. DoRA's magnitudes are pulled towards those of θ₀, but never towards zero,
   * because a magnitude of zero would silence the layer itself and not just the adapter.
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

/** Settings without a penalty, for training from scratch and `warm-start`. */
export const NO_REGULARIZATION: RegularizationOptions = { ...DEFAULT_REGULARIZATION, schedule: 'none' };

/** Gradients of each module's factors, by the module's name and in the shapes of the factors. */
export type FactorGradients = ReadonlyMap<string, TrainableArrays>;

/**
 * Returns the coefficient λ of the L2 penalty at one step; 0 for the schedule `none`.
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

/**
 * L2 penalty at one step: ½ λ ‖θ − θ₀‖² over every element of A and B, or ½ λ ‖s (BA − B₀A₀)‖² if it pulls towards
 * `fused`.
 */
export interface Penalty {
  readonly lambda: number;
  readonly towards: RegularizationOptions['towards'];
  /** Adapter θ₀ that the penalty pulls towards; null for a pull towards zero. */
  readonly anchor: Adapter | null;
}

/**
 * Returns the adapter θ₀ that the penalty pulls towards if the caller passes none: the initial one, or null for a pull
 * towards zero.
 */
export function anchorOf(options: RegularizationOptions, initial: Adapter): Adapter | null {
  return options.towards === 'zero' ? null : initial;
}

/**
 * Adds the gradients of the L2 penalty to those of the loss. The arguments stay unchanged. Arrays to which the penalty
 * adds nothing are not copied, so that the result shares them with `gradients`.
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

/**
 * Returns the factors that the fused update has for one module.
 * @throws RangeError if it has none
 */
function fusedOf(module: string, fused: Adapter | null): LoraFactors {
  const factors = fused?.modules.get(module);
  if (factors) return factors;
  throw new RangeError(`the fused update that the penalty draws towards has no module ${module}`);
}

/** Returns gradient + λ (values − origin), or gradient + λ · values if there is no origin. */
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
