import { createHash } from 'node:crypto';
import path from 'node:path';
import { packagePath } from '../../../core/installation/package-path.ts';

/** Makes a readable key with a hash of all facts that decide the result of an item. */
export function keyOf(name: string, facts: object): string {
  return `${name} #${createHash('sha256').update(canonical(facts)).digest('hex').slice(0, 10)}`;
}

/** Makes the name of a folder from a key. */
export function folderName(key: string): string {
  return key.replaceAll(' ', '-').replace('#', '-');
}

/** Copies a JSON value and makes paths within the checkout relative, so that it is the same in each checkout. */
export function withoutCheckout(value: object): object {
  return JSON.parse(JSON.stringify(value, (_, one: unknown) => relativePath(one))) as object;
}

/**
 * Folders that paths in keys are relative to. The kept results were measured when the folders of the lab lay in the
 * root of the checkout, and keep their keys.
 */
const ROOTS = ['lab', ''].map((folder) => packagePath(folder));

function relativePath(one: unknown): unknown {
  if (typeof one !== 'string') return one;
  const root = ROOTS.find((folder) => one.startsWith(`${folder}${path.sep}`));
  return root === undefined ? one : path.relative(root, one);
}

/** Writes JSON with sorted keys and relative paths, so that it is the same in each checkout. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, found: unknown) => {
    const one = relativePath(found);
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one;
    return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
