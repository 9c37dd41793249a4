import type { Adapter } from '../../models/lora/adapter.ts';
import { trainableArrays } from '../../models/lora/trainable-arrays.ts';
import type { Batch, Runtime } from '../runtime.ts';

/** How far int8 moves what float32 computes. */
export interface Int8Errors {
  /** Mean |loss in int8 − loss in float32| of a label, divided by the mean loss, or by one nat if that is more. */
  readonly losses: number;
  /** ‖gradient in int8 − gradient in float32‖ / ‖gradient in float32‖, over all factors of an adapter. */
  readonly gradients: number;
}

/** How far int8 may move the losses of single tokens, on average, relative to their mean. */
export const LARGEST_CHANGE = 0.1;

/** How far int8 may move the gradients of an adapter's factors, relative to their norm. */
export const LARGEST_GRADIENT_ERROR = 0.25;

/** Says which of the errors, as far as they are known, is too large for int8 to be chosen; null where none is. */
export function tooInexact(errors: Partial<Int8Errors>): string | null {
  const { losses = 0, gradients = 0 } = errors;
  const limit = (share: number, what: string) =>
    `${describeErrors(errors)}, expected at most ${100 * share} % for ${what}`;
  if (!(losses <= LARGEST_CHANGE)) return `int8 ${limit(LARGEST_CHANGE, 'losses')}`;
  return gradients <= LARGEST_GRADIENT_ERROR ? null : `int8 ${limit(LARGEST_GRADIENT_ERROR, 'gradients')}`;
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

/** The losses of a task that is learned are small, and any rounding is a large share of them. */
const LEAST_LOSS = 1;

/** Compares losses, label by label. */
export function lossChange(found: Float32Array, expected: Float32Array): number {
  const changes = found.reduce((total, value, i) => total + Math.abs(value - expected[i]!), 0);
  const mean = expected.reduce((total, value) => total + value, 0) / expected.length;
  return changes / expected.length / Math.max(mean, LEAST_LOSS);
}

/** Compares the gradients of all of an adapter's factors. */
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
