import { adaptableModules, type AdaptableModule } from '../architecture/architecture.ts';
import type { ModelConfig } from '../config/model-config.ts';
import { fullMatches, isTargeted } from './module-pattern.ts';

/** Selection of the linear layers of a base that a new adapter changes. */
export interface TargetSelection {
  /** Names of modules or their suffixes (`q_proj`), a regular expression for whole names, or `all-linear`. */
  readonly targetModules: readonly string[] | string;
  /** Numbers of the layers to adapt, from 0. Default: all layers. */
  readonly layersToTransform?: readonly number[];
}

/**
 * Returns the selected linear layers, in the order of the base.
 * @throws RangeError for a name or layer that the base does not have, or if nothing is selected; PatternError for an
 * unusable regular expression
 */
export function selectTargets(
  base: ModelConfig,
  { targetModules, layersToTransform }: TargetSelection,
): AdaptableModule[] {
  const lost = layersToTransform?.find((layer) => layer >= base.numLayers);
  if (lost !== undefined) throw new RangeError(`the base has no layer ${lost}, expected 0 to ${base.numLayers - 1}`);
  const prefixes = layersToTransform?.map((layer) => `model.layers.${layer}.`);
  const selected = matching(base, targetModules).filter(
    ({ name }) => prefixes?.some((prefix) => name.startsWith(prefix)) ?? true,
  );
  if (selected.length > 0) return selected;
  throw new RangeError(
    `target module ${JSON.stringify(targetModules)} is no linear layer of a ${base.modelType} model`,
  );
}

function matching(base: ModelConfig, targets: readonly string[] | string): AdaptableModule[] {
  const modules = adaptableModules(base);
  if (targets === 'all-linear') return modules;
  if (typeof targets === 'string') {
    const matches = fullMatches(
      targets,
      modules.map(({ name }) => name),
    );
    return modules.filter((_, i) => matches[i]);
  }
  const lost = targets.find((target) => !modules.some(({ name }) => isTargeted(name, new Set([target]))));
  const all = new Set(targets);
  if (lost === undefined) return modules.filter(({ name }) => isTargeted(name, all));
  throw new RangeError(`target module ${JSON.stringify(lost)} is no linear layer of a ${base.modelType} model`);
}

/**
 * Returns PEFT's `target_modules` for a set of modules, sorted and as short as possible: a suffix (`q_proj`) if the set
 * has every module of that name, and full names if it has only some.
 * @param modules full names of modules of the base
 */
export function targetNames(base: ModelConfig, modules: readonly string[]): string[] {
  const all = countBySuffix(adaptableModules(base).map(({ name }) => name));
  const chosen = countBySuffix(modules);
  const targets = modules.map((name) =>
    chosen.get(suffixOf(name)) === all.get(suffixOf(name)) ? suffixOf(name) : name,
  );
  return [...new Set(targets)].sort();
}

function countBySuffix(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(suffixOf(name), (counts.get(suffixOf(name)) ?? 0) + 1);
  return counts;
}

function suffixOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}
