/** Eight heights of a block, from the least to the most of a scale. */
const BLOCKS = '▁▂▃▄▅▆▇█';

/** Ends of a logarithmic scale, both above zero. */
export interface Scale {
  readonly least: number;
  readonly most: number;
}

/** From the smallest to the largest of the values above zero; null where there is none. */
export function scaleOf(values: readonly (number | null)[]): Scale | null {
  const positive = values.filter((value) => value !== null && value > 0 && Number.isFinite(value)) as number[];
  return positive.length > 0 ? { least: Math.min(...positive), most: Math.max(...positive) } : null;
}

/** One block a value, the taller the larger, by ratio; zero is a blank, a value that is missing a dot. */
export function blocks(values: readonly (number | null)[], scale: Scale): string {
  return values.map((value) => (value === null ? '·' : value === 0 ? ' ' : BLOCKS[heightOf(value, scale)]!)).join('');
}

function heightOf(value: number, { least, most }: Scale): number {
  if (most === least) return BLOCKS.length - 1;
  const height = Math.floor((Math.log(value / least) / Math.log(most / least)) * BLOCKS.length);
  return Math.max(0, Math.min(BLOCKS.length - 1, height));
}
