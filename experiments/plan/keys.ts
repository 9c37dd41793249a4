import { createHash } from 'node:crypto';
import path from 'node:path';
import { packagePath } from '../../core/installation/package-path.ts';

/** Readable text that differs whenever anything differs that decides the result of an item. */
export function keyOf(name: string, facts: object): string {
  return `${name} #${createHash('sha256').update(canonical(facts)).digest('hex').slice(0, 10)}`;
}

/** The key as the name of a folder. */
export function folderName(key: string): string {
  return key.replaceAll(' ', '-').replace('#', '-');
}

/** Writes JSON that depends neither on the order of keys nor on where the checkout lies. */
function canonical(value: unknown): string {
  const root = packagePath();
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one === 'string' && one.startsWith(`${root}${path.sep}`)) return path.relative(root, one);
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one;
    return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
