import type { Adapter } from '../../models/adapter.ts';
import type { GradientResult } from '../runtime.ts';
import type { Arrays } from './adamw.ts';

/** An adapter's factors as the optimiser's parameters: `<module>.a` and `<module>.b`, no copies. */
export function factorArrays(factors: Adapter['modules'] | GradientResult['gradients']): Arrays {
  const arrays = new Map<string, Float32Array>();
  for (const [module, { a, b }] of factors) arrays.set(`${module}.a`, a).set(`${module}.b`, b);
  return arrays;
}

/** The adapter with other factors, named as {@link factorArrays} names them. */
export function withFactorArrays(adapter: Adapter, arrays: Arrays): Adapter {
  const modules = [...adapter.modules].map(([module, factors]) => {
    const [a, b] = [arrays.get(`${module}.a`), arrays.get(`${module}.b`)];
    if (!a || !b) throw new RangeError(`the factors of ${module} are missing`);
    return [module, { ...factors, a, b }] as const;
  });
  return { ...adapter, modules: new Map(modules) };
}
