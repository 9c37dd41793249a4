import { describe, expect, it } from 'vitest';
import { packIntoBins, positionsOf } from '../../../../core/engine/call/attention-bins.ts';
import { Random } from '../../../../core/statistics/random.ts';

describe('packIntoBins', () => {
  it('is what one works out by hand', () => {
    // The longest comes first: 4 fills a bin, and 3 and 1 share the other.
    expect(packIntoBins([3, 4, 1])).toEqual({
      bins: 2,
      binLength: 4,
      binTokens: Int32Array.of(3, 4, 5, 6, 0, 1, 2, 7),
      binSequences: Int32Array.of(1, 1, 1, 1, 0, 0, 0, 2),
      tokenPlaces: Int32Array.of(4, 5, 6, 0, 1, 2, 3, 7),
    });
    expect(packIntoBins([2, 3])).toMatchObject({
      bins: 2,
      binTokens: Int32Array.of(2, 3, 4, 0, 1, 0),
      binSequences: Int32Array.of(1, 1, 1, 0, 0, -1),
    });
  });

  it('keeps every sequence whole, in order and apart, and wastes little', () => {
    const random = Random.fromSeed(3);
    for (let trial = 0; trial < 50; trial++) {
      const lengths = Array.from({ length: 1 + random.integer(40) }, () => 1 + random.integer(60));
      const { bins, binLength, binTokens, binSequences, tokenPlaces } = packIntoBins(lengths);
      const tokens = lengths.reduce((total, length) => total + length, 0);
      expect(new Set(tokenPlaces).size).toBe(tokens);
      expect([...tokenPlaces].map((place) => binTokens[place])).toEqual([...Array(tokens).keys()]);
      expect([...tokenPlaces].map((place) => binSequences[place])).toEqual(
        lengths.flatMap((length, sequence) => Array<number>(length).fill(sequence)),
      );
      expect(binSequences.filter((sequence) => sequence === -1)).toHaveLength(bins * binLength - tokens);
      let token = 0;
      for (const length of lengths) {
        const places = tokenPlaces.slice(token, (token += length));
        expect(places.at(-1)! - places[0]!).toBe(length - 1);
        expect(Math.floor(places[0]! / binLength)).toBe(Math.floor(places.at(-1)! / binLength));
      }
      expect(binLength).toBe(Math.max(...lengths));
      expect(bins).toBeLessThanOrEqual(Math.ceil((11 / 9) * Math.ceil(tokens / binLength) + 1) + lengths.length / 4);
    }
  });
});

describe('positionsOf', () => {
  it('counts within each sequence', () => {
    expect(positionsOf(Int32Array.of(3, 1, 2))).toEqual(Int32Array.of(0, 1, 2, 0, 0, 1));
  });
});
