import type { Adapter } from '../../models/lora/adapter.ts';
import { trainableArrays } from '../../models/lora/trainable-arrays.ts';
import type { Batch, Runtime } from '../runtime.ts';

/** Errors of int8: how far its losses and gradients are from those of float32. */
export interface Int8Errors {
  /**
   * Mean of |int8 loss − float32 loss| over labels, divided by the mean float32 loss, or by one nat if that is more.
   */
  readonly losses: number;
  /** ‖int8 gradient − float32 gradient‖ / ‖float32 gradient‖, over all factors of an adapter. */
  readonly gradients: number;
}

/** Largest accepted mean error of the losses of single tokens, relative to the mean loss. */
export const MAX_LOSS_CHANGE = 0.1;

/** Largest accepted error of the gradients of an adapter's factors, relative to the norm of the float32 gradients. */
export const MAX_GRADIENT_ERROR = 0.25;

/**
 * Describes an error that is too large for int8 to be chosen. Errors that were not measured are ignored; null means
 * that no measured one is too large.
 */
export function tooInexact(errors: Partial<Int8Errors>): string | null {
  const { losses = 0, gradients = 0 } = errors;
  const limit = (share: number, what: string) =>
    `${describeErrors(errors)}, expected at most ${100 * share} % for ${what}`;
  if (!(losses <= MAX_LOSS_CHANGE)) return `int8 ${limit(MAX_LOSS_CHANGE, 'losses')}`;
  return gradients <= MAX_GRADIENT_ERROR ? null : `int8 ${limit(MAX_GRADIENT_ERROR, 'gradients')}`;
}

export function describeErrors({ losses, gradients }: Partial<Int8Errors>): string {
  const moved = [
    losses === undefined ? [] : `losses by ${percent(losses)}`,
    gradients === undefined ? [] : `gradients by ${percent(gradients)}`,
  ];
  return `moves ${moved.flat().join(' and ')}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/**
 * Smallest loss, in nats, that a change of losses is divided by. The losses of a task that a model has learned are so
 * small that any rounding is a large share of them.
 */
const MIN_LOSS = 1;

/**
 * Computes the mean difference between int8 and float32 losses of the same labels, relative to the mean float32 loss.
 */
export function lossChange(found: Float32Array, expected: Float32Array): number {
  const changes = found.reduce((total, value, i) => total + Math.abs(value - expected[i]!), 0);
  const mean = expected.reduce((total, value) => total + value, 0) / expected.length;
  return changes / expected.length / Math.max(mean, MIN_LOSS);
}

/** Computes the error of int8 gradients relative to float32 gradients, over all factors of an adapter together. */
export async function gradientError(int8: Runtime, exact: Runtime, adapter: Adapter, batch: Batch): Promise<number> {
  const [found, expected] = [await gradientsOf(int8, adapter, batch), await gradientsOf(exact, adapter, batch)];
  let [errors, sizes] = [0, 0];
  for (const [at, values] of expected.entries()) {
    const other = found[at]!;
    for (let i = 0; i < values.length; i++) {
      errors += (other[i]! - values[i]!) ** 2;
      sizes += values[i]! ** 2;
    }
  }
  return errors === 0 ? 0 : Math.sqrt(errors / sizes);
}

async function gradientsOf(runtime: Runtime, adapter: Adapter, batch: Batch): Promise<Float32Array[]> {
  const { gradients } = await runtime.gradients(adapter, batch, 1 / batch.labelIds.length);
  return [...gradients.values()].flatMap((factors) => trainableArrays(factors).map(([, values]) => values));
}
