import { adaptableModules, type AdaptableModule } from './architecture.ts';
import type { Adapter, LoraConfig, LoraFactors } from './adapter.ts';
import type { BaseModel } from './base-model.ts';
import { loraSettings } from './lora-config.ts';
import type { ModelConfig } from './model-config.ts';
import { isTargeted } from './module-pattern.ts';
import { Random } from './random.ts';
import { rowSquares } from './row-squares.ts';

export interface CreateAdapterOptions {
  readonly base: ModelConfig;
  /** Module names or their suffixes (`q_proj`). */
  readonly targetModules: readonly string[];
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora?: boolean;
  /** DoRA: needs the base's weights, whose row norms are the first magnitudes. */
  readonly useDora?: boolean;
  readonly weights?: BaseModel['weights'];
  readonly rankPattern?: Readonly<Record<string, number>>;
  readonly alphaPattern?: Readonly<Record<string, number>>;
  /** Share of the inputs of A that training drops; default 0. */
  readonly dropout?: number;
  readonly seed: number;
}

/**
 * A fresh LoRA adapter that changes nothing yet: B is zero and A is Kaiming-uniform with a = √5, that is, uniform in
 * ±1/√inFeatures (PEFT, `reset_lora_parameters`); DoRA's magnitudes are ‖W‖ of each row. Equal options give equal
 * adapters; `{...adapter.config, base, weights, seed}` makes one of the same shape as another.
 * @throws RangeError where rank or alpha is not positive, dropout no share, a target names no module of the base, or DoRA has no weights
 */
export function createAdapter(options: CreateAdapterOptions): Adapter {
  const config = configOf(options);
  const modules = targetedModules(options.base, config.targetModules);
  const settings = loraSettings(config, modules.map(({ name }) => name));
  const random = Random.fromSeed(options.seed);
  const factors = modules.map((module): [string, LoraFactors] => {
    const { rank, scaling } = settings.get(module.name)!;
    const factors = initialFactors(module, rank, scaling, random);
    return [module.name, config.useDora ? { ...factors, magnitude: initialMagnitude(module, options.weights) } : factors];
  });
  return { config, modules: new Map(factors) };
}

function configOf(options: CreateAdapterOptions): LoraConfig {
  const { rank, alpha, targetModules, useRslora = false, useDora = false, rankPattern = {}, alphaPattern = {}, dropout = 0 } = options;
  for (const value of [rank, ...Object.values(rankPattern)]) {
    if (!Number.isInteger(value) || value < 1) throw new RangeError(`rank is ${value}, expected a positive integer`);
  }
  for (const value of [alpha, ...Object.values(alphaPattern)]) {
    if (!Number.isFinite(value) || value <= 0) throw new RangeError(`alpha is ${value}, expected a positive number`);
  }
  if (!(dropout >= 0 && dropout < 1)) throw new RangeError(`dropout is ${dropout}, expected at least 0 and below 1`);
  return { rank, alpha, useRslora, useDora, dropout, targetModules, rankPattern, alphaPattern };
}

function targetedModules(base: ModelConfig, targets: readonly string[]): AdaptableModule[] {
  const modules = adaptableModules(base);
  const lost = targets.find((target) => !modules.some(({ name }) => isTargeted(name, [target])));
  if (targets.length > 0 && lost === undefined) return modules.filter(({ name }) => isTargeted(name, targets));
  throw new RangeError(`target module ${JSON.stringify(lost ?? targets)} is no linear layer of a ${base.modelType} model`);
}

function initialFactors(module: AdaptableModule, rank: number, scaling: number, random: Random): LoraFactors {
  const { inFeatures, outFeatures } = module;
  const bound = 1 / Math.sqrt(inFeatures);
  const a = new Float32Array(rank * inFeatures);
  for (let i = 0; i < a.length; i++) a[i] = (2 * random.uniform() - 1) * bound;
  return { rank, inFeatures, outFeatures, scaling, a, b: new Float32Array(outFeatures * rank) };
}

function initialMagnitude({ name }: AdaptableModule, weights: CreateAdapterOptions['weights']): Float32Array {
  const weight = weights?.get(`${name}.weight`);
  if (!weight) throw new RangeError(`the weight of ${name} is missing, expected it: DoRA starts from its row norms`);
  return rowSquares(weight).map(Math.sqrt);
}
