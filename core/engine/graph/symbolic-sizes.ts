/**
 * Sizes that differ from call to call. tfjs checks shapes while a program is traced and knows numbers alone, so each
 * is traced as a prime that no dimension of a model is a multiple of, and what is made of several as their product: small
 * enough that attention's scores, a product of three, are exact in float64.
 */
export const SYMBOLIC_SIZES = {
  tokens: 20_011,
  labels: 20_021,
  bins: 20_023,
  binLength: 20_029,
  repeats: 20_047,
} as const;

const SYMBOLS = Object.entries(SYMBOLIC_SIZES);

/** A size that is known only when the graph runs. */
export function isSymbolic(size: number): boolean {
  return size > 0 && SYMBOLS.some(([, prime]) => size % prime === 0);
}

/** The symbols of a size and the number that they are multiplied with. */
export function factorsOf(size: number): { readonly symbols: readonly number[]; readonly rest: number } {
  const symbols: number[] = [];
  let rest = size;
  for (const [, prime] of SYMBOLS) {
    for (; rest > 0 && rest % prime === 0; rest /= prime) symbols.push(prime);
  }
  return { symbols, rest };
}

/** `tokens`, `3·bins·binLength`, `576`. */
export function sizeName(size: number): string {
  const { symbols, rest } = factorsOf(size);
  const names = symbols.map((symbol) => SYMBOLS.find(([, prime]) => prime === symbol)![0]);
  return [...(rest === 1 && names.length > 0 ? [] : [rest]), ...names].join('·');
}
