import type { TrainableArrays } from './adapter.ts';

export type TrainableName = keyof TrainableArrays;

/** The order in which sums over all arrays are taken. */
const NAMES: readonly TrainableName[] = ['a', 'b', 'magnitude'];

/** Lists the arrays with their names: a, b, and under DoRA the magnitude. They are not copied. */
export function trainableArrays(arrays: TrainableArrays): [TrainableName, Float32Array][] {
  return NAMES.flatMap((name): [TrainableName, Float32Array][] => {
    const values = arrays[name];
    return values ? [[name, values]] : [];
  });
}

/** Makes new arrays from each of the arrays, under the same names. */
export function mapTrainable(
  arrays: TrainableArrays,
  make: (values: Float32Array, name: TrainableName) => Float32Array,
): TrainableArrays {
  const made = trainableArrays(arrays).map(([name, values]) => [name, make(values, name)] as const);
  return Object.fromEntries(made) as unknown as TrainableArrays;
}
