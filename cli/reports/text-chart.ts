/** Characters that draw blocks of eight heights, from the low end of a scale to the high end. */
const BLOCKS = '▁▂▃▄▅▆▇█';

/** Smallest and largest value of a logarithmic scale, both above zero. */
export interface Scale {
  readonly least: number;
  readonly most: number;
}

/** Returns a scale that reaches from the smallest to the largest value above zero; null if no value is above zero. */
export function scaleOf(values: readonly (number | null)[]): Scale | null {
  const positive = values.filter((value): value is number => value !== null && value > 0 && Number.isFinite(value));
  return positive.length > 0 ? { least: Math.min(...positive), most: Math.max(...positive) } : null;
}

/**
 * Draws one block for each value, higher for larger values, on a logarithmic scale. Zero is drawn as a blank, and null
 * as a dot.
 */
export function blocks(values: readonly (number | null)[], scale: Scale): string {
  return values
    .map((value) => (value === null ? '·' : value === 0 ? ' ' : BLOCKS.charAt(heightOf(value, scale))))
    .join('');
}

function heightOf(value: number, { least, most }: Scale): number {
  if (most === least) return BLOCKS.length - 1;
  const height = Math.floor((Math.log(value / least) / Math.log(most / least)) * BLOCKS.length);
  return Math.max(0, Math.min(BLOCKS.length - 1, height));
}
