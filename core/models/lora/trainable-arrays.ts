import type { TrainableArrays } from './adapter.ts';

export type TrainableName = keyof TrainableArrays;

/** Order in which a module's arrays are listed. It is fixed, so that sums over all arrays are reproducible. */
const NAMES: readonly TrainableName[] = ['a', 'b', 'magnitude'];

/** Lists the arrays with their names: a, b, and magnitude under DoRA. The arrays are not copied. */
export function trainableArrays(arrays: TrainableArrays): [TrainableName, Float32Array][] {
  return NAMES.flatMap((name): [TrainableName, Float32Array][] => {
    const values = arrays[name];
    return values ? [[name, values]] : [];
  });
}

/** Maps each array to a new one of the same name. */
export function mapTrainable(
  arrays: TrainableArrays,
  make: (values: Float32Array, name: TrainableName) => Float32Array,
): TrainableArrays {
  const made = trainableArrays(arrays).map(([name, values]) => [name, make(values, name)] as const);
  return Object.fromEntries(made) as unknown as TrainableArrays;
}
