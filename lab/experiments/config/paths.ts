import path from 'node:path';
import { packagePath } from '../../../core/installation/package-path.ts';
import type { Experiment } from './experiment.ts';

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}` by environment variables. A blank variable counts as unset.
 * @returns the text, or the name of the first variable that is unset and has no default
 */
export function expandPath(text: string, environment: NodeJS.ProcessEnv): string | { readonly unset: string } {
  const valueOf = (name: string): string | undefined => environment[name]?.trim() || undefined;
  for (const [, name = '', fallback] of text.matchAll(VARIABLE))
    if (valueOf(name) === undefined && fallback === undefined) return { unset: name };
  return text.replaceAll(VARIABLE, (_, name: string, fallback: string | undefined) => valueOf(name) ?? fallback ?? '');
}

/**
 * Finds models of a blind experiment outside of the checkout. Keys of results contain these paths, so the results could
 * not be reported in another checkout. A link within the checkout has the same path everywhere.
 */
export function placeProblems({ blind, base, evolutions }: Experiment): string[] {
  if (blind !== true) return [];
  const places = [['base', base] as const, ...evolutions.map((one, i) => [`evolutions[${i}].base`, one.base] as const)];
  return places
    .filter(([, folder]) => !folder.startsWith(`${packagePath()}${path.sep}`))
    .map(([place, folder]) => `${place} is ${folder}, expected a folder or a link within the checkout, as it is blind`);
}
