/** Complete state of a {@link Random}: four 32-bit words, which can be stored as JSON. */
export type RandomState = readonly [number, number, number, number];

/**
 * Seeded pseudorandom numbers by xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * 2021), seeded by SplitMix32. The state can be saved and restored at any point.
 */
export class Random {
  // Signed, because numbers beyond 2³¹ would be kept as doubles, which take several times as long to compute with.
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  private constructor([a, b, c, d]: RandomState) {
    this.#a = a | 0;
    this.#b = b | 0;
    this.#c = c | 0;
    this.#d = d | 0;
  }

  /**
   * Returns a new generator.
   * @param seed any safe integer; equal seeds give equal numbers on every machine
   * @throws RangeError for a seed that is no safe integer
   */
  static fromSeed(seed: number): Random {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`seed is ${seed}, expected an integer`);
    let word = seed >>> 0;
    const next = () => {
      word = (word + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return (mixed ^ (mixed >>> 15)) >>> 0;
    };
    const [a, b] = [next(), next()];
    // The upper half of the seed enters the second pair of words, so that no two seeds give the same state.
    word = (word ^ Math.floor(seed / 2 ** 32)) >>> 0;
    return new Random([a, b, next(), next()]);
  }

  /**
   * Returns a generator that continues from a saved state.
   * @throws RangeError for a state that no generator can be in
   */
  static fromState(state: RandomState): Random {
    const valid = state.length === 4 && state.every((word) => word === word >>> 0) && state.some((word) => word !== 0);
    if (!valid) throw new RangeError(`random state is ${JSON.stringify(state)}, expected four 32-bit words`);
    return new Random(state);
  }

  state(): RandomState {
    return [this.#a >>> 0, this.#b >>> 0, this.#c >>> 0, this.#d >>> 0];
  }

  /** Returns a random integer in [0, 2³²). */
  uint32(): number {
    const scrambled = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return scrambled;
  }

  /** Returns a random number in [0, 1) with 53 random bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  /** Returns a random integer in [0, bound), each with the same probability. */
  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
      throw new RangeError(`bound is ${bound}, expected an integer from 1 to 2^32`);
    }
    let word = this.uint32();
    // Words from the limit on are drawn again. It lies within `bound` of 2³², and is computed only for words that near.
    if (word >= 2 ** 32 - bound) {
      const limit = 2 ** 32 - (2 ** 32 % bound);
      while (word >= limit) word = this.uint32();
    }
    return word % bound;
  }

  /**
   * Returns a random number of the standard normal distribution (Box and Muller). The method makes two; the second is
   * dropped, so that the state stays four words.
   */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Brings the elements of an array into a random order, in place (Fisher and Yates), and returns the array. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
