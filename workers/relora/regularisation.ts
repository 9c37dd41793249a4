import type { Adapter, TrainableArrays } from '../models/adapter.ts';
import { mapTrainable, trainableArrays } from '../models/trainable-arrays.ts';

/** L2 regularisation of fine-tuning in two stages: strong first, relaxed later. */
export interface RegularisationOptions {
  /** λ₁, held until `strongUntil`. */
  readonly strong: number;
  /** λ₂, from `relaxedFrom` on. */
  readonly relaxed: number;
  /** Shares of the steps, 0 ≤ strongUntil ≤ relaxedFrom ≤ 1; in between λ follows half a cosine. */
  readonly strongUntil: number;
  readonly relaxedFrom: number;
  /**
   * θ₀ of the penalty: the adapter that fine-tuning started from, or zero (weight decay by gradient). DoRA's magnitudes
   * have no part in the latter: at zero they would silence the layer and not the adapter.
   */
  readonly target: 'initial' | 'zero';
}

export const DEFAULT_REGULARISATION: RegularisationOptions = {
  strong: 0.1,
  relaxed: 0,
  strongUntil: 0.3,
  relaxedFrom: 0.6,
  target: 'initial',
};

/** No penalty: training from scratch. */
export const NO_REGULARISATION: RegularisationOptions = { ...DEFAULT_REGULARISATION, strong: 0 };

/** Gradients by module, in the shapes of the factors. */
export type FactorGradients = ReadonlyMap<string, TrainableArrays>;

/**
 * λ of one step.
 * @param step from 0
 * @param steps of the whole run
 * @throws RangeError where the options contradict each other
 */
export function l2Coefficient(options: RegularisationOptions, step: number, steps: number): number {
  const { strong, relaxed, strongUntil, relaxedFrom } = options;
  if (!(strong >= 0 && relaxed >= 0 && strongUntil >= 0 && strongUntil <= relaxedFrom && relaxedFrom <= 1)) {
    throw new RangeError(`regularisation ${JSON.stringify(options)}: expected λ ≥ 0 and 0 ≤ strongUntil ≤ relaxedFrom ≤ 1`);
  }
  const progress = steps > 0 ? step / steps : 1;
  if (progress < strongUntil) return strong;
  if (progress >= relaxedFrom) return relaxed;
  const phase = (progress - strongUntil) / (relaxedFrom - strongUntil);
  return relaxed + (strong - relaxed) * 0.5 * (1 + Math.cos(Math.PI * phase));
}

/**
 * ½ λ ‖θ − θ₀‖² over every element of the factors (and of the magnitudes, towards an adapter).
 * @param anchor θ₀, or null for zero
 */
export function l2Penalty(adapter: Adapter, anchor: Adapter | null, lambda: number): number {
  let squares = 0;
  for (const [module, factors] of adapter.modules) {
    for (const [name, values] of trainableArrays(factors)) {
      if (isPenalised(name, anchor)) squares += squaredDistance(values, anchor?.modules.get(module)?.[name]);
    }
  }
  return 0.5 * lambda * squares;
}

/**
 * Gradients of the loss plus those of {@link l2Penalty}, λ (θ − θ₀); nothing is changed in place.
 * @param gradients keyed like the adapter's modules
 */
export function withL2Gradients(
  gradients: FactorGradients,
  adapter: Adapter,
  anchor: Adapter | null,
  lambda: number,
): FactorGradients {
  if (lambda === 0) return gradients;
  const regularised = [...gradients].map(([module, gradient]) => {
    const factors = adapter.modules.get(module)!;
    const origin = anchor?.modules.get(module);
    const arrays = mapTrainable(gradient, (slopes, name) => {
      return isPenalised(name, anchor) ? pulled(slopes, factors[name]!, origin?.[name], lambda) : slopes;
    });
    return [module, arrays] as const;
  });
  return new Map(regularised);
}

/** θ₀ of the options: the initial adapter, or null for zero. */
export function anchorOf(options: RegularisationOptions, initial: Adapter): Adapter | null {
  return options.target === 'initial' ? initial : null;
}

function isPenalised(name: keyof TrainableArrays, anchor: Adapter | null): boolean {
  return name !== 'magnitude' || anchor !== null;
}

function pulled(gradient: Float32Array, values: Float32Array, origin: Float32Array | undefined, lambda: number): Float32Array {
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
