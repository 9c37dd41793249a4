import type { TrainableArrays } from './adapter.ts';

export type TrainableName = keyof TrainableArrays;

/** In the order in which sums over all of them are taken. */
const NAMES: readonly TrainableName[] = ['a', 'b', 'magnitude'];

/** The arrays that are there, by name: a, b, and under DoRA the magnitude. No copies. */
export function trainableArrays(arrays: TrainableArrays): [TrainableName, Float32Array][] {
  return NAMES.flatMap((name): [TrainableName, Float32Array][] => {
    const values = arrays[name];
    return values ? [[name, values]] : [];
  });
}

/** Something with the same arrays, each made from the one at hand. */
export function mapTrainable(
  arrays: TrainableArrays,
  make: (values: Float32Array, name: TrainableName) => Float32Array,
): TrainableArrays {
  const made = trainableArrays(arrays).map(([name, values]) => [name, make(values, name)] as const);
  return Object.fromEntries(made) as unknown as TrainableArrays;
}
