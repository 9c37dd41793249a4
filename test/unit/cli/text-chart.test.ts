import { describe, expect, it } from 'vitest';
import { blocks, scaleOf } from '../../../cli/reports/text-chart.ts';

describe('blocks', () => {
  it('grow with the logarithm of a value, from the least to the most above zero', () => {
    const values = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    expect(scaleOf(values)).toEqual({ least: 1, most: 256 });
    expect(blocks(values, { least: 1, most: 256 })).toBe('▁▂▃▄▅▆▇██');
  });

  it('leave a blank for zero, a dot for what is missing, and stay within the scale', () => {
    const values = [0, null, 0.01, 5, Infinity];
    expect(scaleOf(values)).toEqual({ least: 0.01, most: 5 });
    expect(blocks(values, scaleOf(values)!)).toBe(' ·▁██');
    expect(scaleOf([0, null])).toBeNull();
  });

  it('show equal values as full', () => {
    expect(blocks([3, 3], { least: 3, most: 3 })).toBe('██');
  });
});
