import type { AdaptableModule } from '../architecture/architecture.ts';
import type { Adapter, LoraConfig, LoraFactors } from './adapter.ts';
import type { BaseModel } from '../base-model.ts';
import { loraSettings } from './lora-config.ts';
import type { ModelConfig } from '../config/model-config.ts';
import { selectTargets, targetNames, type TargetSelection } from './module-targets.ts';
import { Random } from '../../statistics/random.ts';
import { rowSquares } from '../../linalg/row-squares.ts';

export interface CreateAdapterOptions extends TargetSelection {
  readonly base: ModelConfig;
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora?: boolean;
  /** Whether to make a DoRA adapter, which needs the base's weights. */
  readonly useDora?: boolean;
  /** Weights of the base, whose row norms are the initial magnitudes of DoRA. */
  readonly weights?: BaseModel['weights'];
  readonly rankPattern?: Readonly<Record<string, number>>;
  readonly alphaPattern?: Readonly<Record<string, number>>;
  /** Dropout rate of the inputs of A in training; default 0. */
  readonly dropout?: number;
  readonly seed: number;
}

/**
 * Creates a LoRA adapter that changes nothing yet. B is zero, and A is Kaiming-uniform with a = √5, that is, uniform in
 * ±1/√inFeatures (PEFT, `reset_lora_parameters`); DoRA's magnitudes are ‖W‖ of each row. Equal options give equal
 * adapters. The options `{...adapter.config, base, weights, seed}` create one of the same shape as `adapter`.
 * @throws RangeError if rank or alpha is not positive, dropout is not in [0, 1), a target module or layer is not in the
 * base, or DoRA has no weights; PatternError for an unusable regular expression
 */
export function createAdapter(options: CreateAdapterOptions): Adapter {
  const modules = selectTargets(options.base, options);
  const names = modules.map(({ name }) => name);
  const config = configOf(options, names);
  const settings = loraSettings(config, names);
  const random = Random.fromSeed(options.seed);
  const factors = modules.map((module): [string, LoraFactors] => {
    const { rank, scaling } = settings.get(module.name)!;
    const lora = initialFactors(module, rank, scaling, random);
    const magnitude = config.useDora && { magnitude: initialMagnitude(module, options.weights) };
    return [module.name, { ...lora, ...magnitude }];
  });
  return { config, modules: new Map(factors) };
}

function configOf(options: CreateAdapterOptions, modules: readonly string[]): LoraConfig {
  const { rank, alpha, useRslora = false, useDora = false, rankPattern = {}, alphaPattern = {}, dropout = 0 } = options;
  for (const value of [rank, ...Object.values(rankPattern)]) {
    if (!Number.isInteger(value) || value < 1) throw new RangeError(`rank is ${value}, expected a positive integer`);
  }
  for (const value of [alpha, ...Object.values(alphaPattern)]) {
    if (!Number.isFinite(value) || value <= 0) throw new RangeError(`alpha is ${value}, expected a positive number`);
  }
  if (!(dropout >= 0 && dropout < 1)) throw new RangeError(`dropout is ${dropout}, expected at least 0 and below 1`);
  return {
    rank,
    alpha,
    useRslora,
    useDora,
    dropout,
    targetModules: targetNames(options.base, modules),
    rankPattern,
    alphaPattern,
  };
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
  if (!weight) throw new RangeError(`no weight of ${name} was given, but DoRA starts from its row norms`);
  return rowSquares(weight).map(Math.sqrt);
}
