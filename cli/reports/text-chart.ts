/** Blocks of eight heights, from the low end of a scale to the high end. */
const BLOCKS = '▁▂▃▄▅▆▇█';

/** The ends of a logarithmic scale, both above zero. */
export interface Scale {
  readonly least: number;
  readonly most: number;
}

/** Returns the scale from the smallest to the largest value above zero; null if there is none. */
export function scaleOf(values: readonly (number | null)[]): Scale | null {
  const positive = values.filter((value): value is number => value !== null && value > 0 && Number.isFinite(value));
  return positive.length > 0 ? { least: Math.min(...positive), most: Math.max(...positive) } : null;
}

/** Draws one block for each value, whose height grows with the logarithm. Zero is a blank, and null is a dot. */
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
