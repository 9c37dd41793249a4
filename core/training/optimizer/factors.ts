import type { Adapter } from '../../models/lora/adapter.ts';
import { mapTrainable, trainableArrays } from '../../models/lora/trainable-arrays.ts';
import type { GradientResult } from '../../engine/runtime.ts';
import type { Arrays } from './adamw.ts';

/**
 * Returns an adapter's factors, or gradients of them, by the names that the optimizer uses: `<module>.a`, `<module>.b`
 * and, under DoRA, `<module>.magnitude`. The arrays are not copied.
 */
export function factorArrays(factors: Adapter['modules'] | GradientResult['gradients']): Arrays {
  const arrays = new Map<string, Float32Array>();
  for (const [module, values] of factors) {
    for (const [name, array] of trainableArrays(values)) arrays.set(`${module}.${name}`, array);
  }
  return arrays;
}

/**
 * Returns the adapter with the given arrays as its factors. The arrays are named as in {@link factorArrays}.
 * @throws RangeError if an array is missing
 */
export function withFactorArrays(adapter: Adapter, arrays: Arrays): Adapter {
  const modules = [...adapter.modules].map(([module, factors]) => {
    const replaced = mapTrainable(factors, (_, name) => {
      const array = arrays.get(`${module}.${name}`);
      if (!array) throw new RangeError(`the array ${module}.${name} is missing`);
      return array;
    });
    return [module, { ...factors, ...replaced }] as const;
  });
  return { ...adapter, modules: new Map(modules) };
}
