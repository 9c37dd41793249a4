import { describe, expect, it } from 'vitest';
import { packIntoSlots, positionsOf } from '../../../../core/engine/call/attention-slots.ts';
import { Random } from '../../../../core/statistics/random.ts';

describe('packIntoSlots', () => {
  it('is what one works out by hand', () => {
    // Longest first: 4 fills a slot, 3 and 1 share the other.
    expect(packIntoSlots([3, 4, 1])).toEqual({
      slots: 2,
      slotLength: 4,
      slotTokens: Int32Array.of(3, 4, 5, 6, 0, 1, 2, 7),
      slotSequences: Int32Array.of(1, 1, 1, 1, 0, 0, 0, 2),
      tokenSlots: Int32Array.of(4, 5, 6, 0, 1, 2, 3, 7),
    });
    expect(packIntoSlots([2, 3])).toMatchObject({
      slots: 2,
      slotTokens: Int32Array.of(2, 3, 4, 0, 1, 0),
      slotSequences: Int32Array.of(1, 1, 1, 0, 0, -1),
    });
  });

  it('keeps every sequence whole, in order and apart, and wastes little', () => {
    const random = Random.fromSeed(3);
    for (let trial = 0; trial < 50; trial++) {
      const lengths = Array.from({ length: 1 + random.integer(40) }, () => 1 + random.integer(60));
      const { slots, slotLength, slotTokens, slotSequences, tokenSlots } = packIntoSlots(lengths);
      const tokens = lengths.reduce((total, length) => total + length, 0);
      expect(new Set(tokenSlots).size).toBe(tokens);
      expect([...tokenSlots].map((place) => slotTokens[place])).toEqual([...Array(tokens).keys()]);
      expect([...tokenSlots].map((place) => slotSequences[place])).toEqual(
        lengths.flatMap((length, sequence) => Array<number>(length).fill(sequence)),
      );
      expect(slotSequences.filter((sequence) => sequence === -1)).toHaveLength(slots * slotLength - tokens);
      let token = 0;
      for (const length of lengths) {
        const places = tokenSlots.slice(token, (token += length));
        expect(places.at(-1)! - places[0]!).toBe(length - 1);
        expect(Math.floor(places[0]! / slotLength)).toBe(Math.floor(places.at(-1)! / slotLength));
      }
      expect(slotLength).toBe(Math.max(...lengths));
      expect(slots).toBeLessThanOrEqual(Math.ceil((11 / 9) * Math.ceil(tokens / slotLength) + 1) + lengths.length / 4);
    }
  });
});

describe('positionsOf', () => {
  it('counts within each sequence', () => {
    expect(positionsOf(Int32Array.of(3, 1, 2))).toEqual(Int32Array.of(0, 1, 2, 0, 0, 1));
  });
});
