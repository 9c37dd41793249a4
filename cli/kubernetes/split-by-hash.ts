import { hashOf } from './object-names.ts';

/** Group of items whose hashes begin with the same bits, small enough for one object. */
export interface Part<T> {
  /** Bits with which the hashes of all items begin, such as `01`; empty if all items are in one part. */
  readonly prefix: string;
  readonly items: readonly T[];
}

/**
 * Functions that {@link splitByHash} needs: one gives an item's key, the other says whether items fit into one object.
 */
export interface Splitting<T> {
  readonly keyOf: (item: T) => string;
  readonly fits: (items: readonly T[]) => boolean;
}

/**
 * Splits items that do not fit into one object in two by the first bit of their hashes, and each half again by the next
 * bit until every part fits. A new item changes only one part, or splits it in two; if a sorted list were cut into
 * parts, all would shift.
 * @returns parts in the order of their prefixes, at least one; their items keep their order
 * @throws Error if a single item does not fit
 */
export function splitByHash<T>(items: readonly T[], splitting: Splitting<T>): Part<T>[] {
  const hashed = items.map((item) => ({ item, bits: bitsOf(splitting.keyOf(item)) }));
  const split = (part: typeof hashed, prefix: string): Part<T>[] => {
    const ofPart = part.map(({ item }) => item);
    if (splitting.fits(ofPart)) return [{ prefix, items: ofPart }];
    const [only, second] = part;
    if (second === undefined)
      throw new Error(`${only ? splitting.keyOf(only.item) : 'nothing'} is too large for an object`);
    return ['0', '1'].flatMap((bit) =>
      split(
        part.filter(({ bits }) => bits[prefix.length] === bit),
        prefix + bit,
      ),
    );
  };
  return split(hashed, '');
}

/** Assigns a key to one of `count` buckets. The bucket depends on the key alone. */
export function bucketOf(key: string, count: number): number {
  return Number(BigInt(`0x${hashOf(key)}`) % BigInt(count));
}

function bitsOf(key: string): string {
  return [...hashOf(key)].map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, '0')).join('');
}
