/**
 * Sizes that differ from call to call. tfjs checks shapes while it traces a program and knows only numbers, so each
 * such size is traced as a prime that no dimension of a model is a multiple of. A composite size is a product of these
 * primes. They are small enough that the size of attention scores, a product of three, is exact in float64.
 */
export const SYMBOLIC_SIZES = {
  tokens: 20_011,
  labels: 20_021,
  bins: 20_023,
  binLength: 20_029,
  repeats: 20_047,
  slots: 20_051,
} as const;

const SYMBOLS = Object.entries(SYMBOLIC_SIZES);

/** Whether a size stands for a number that is known only when the graph runs. */
export function isSymbolic(size: number): boolean {
  return size > 0 && SYMBOLS.some(([, prime]) => size % prime === 0);
}

/** Splits a size into the named symbols that it is a product of, and the remaining number. */
export function factorsOf(size: number) {
  const symbols: { readonly name: string; readonly symbol: number }[] = [];
  let rest = size;
  for (const [name, prime] of SYMBOLS) {
    for (; rest > 0 && rest % prime === 0; rest /= prime) symbols.push({ name, symbol: prime });
  }
  return { symbols, rest };
}

/** Formats a size for display: `tokens`, `3·bins·binLength`, `576`. */
export function sizeName(size: number): string {
  const { symbols, rest } = factorsOf(size);
  const names = symbols.map(({ name }) => name);
  return [...(rest === 1 && names.length > 0 ? [] : [rest]), ...names].join('·');
}
