import { adaptableModules } from './architecture.ts';
import type { ModelConfig } from './model-config.ts';

/**
 * `target_modules` for a set of modules, as short as it gets: a suffix (`q_proj`) where every module of that name is in
 * it, and full names where only some are. Sorted.
 * @param modules full names, all of them modules of the base
 */
export function targetNames(base: ModelConfig, modules: readonly string[]): string[] {
  const all = countBySuffix(adaptableModules(base).map(({ name }) => name));
  const chosen = countBySuffix(modules);
  const targets = modules.map((name) => (chosen.get(suffixOf(name)) === all.get(suffixOf(name)) ? suffixOf(name) : name));
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
