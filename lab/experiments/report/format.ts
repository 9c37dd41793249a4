import type { Ratio } from './ratio.ts';
import type { Spread } from './statistics.ts';

/** Format of a metric's values: percent, or nats for a loss. */
export interface MetricFormat {
  value(value: Spread | null): string;
  /** Writes a difference with its sign. */
  difference(value: Spread | null): string;
}

const NONE = '–';

export function metricFormat(metric: string): MetricFormat {
  const [scale, digits] = metric === 'loss' ? [1, 4] : [100, 1];
  return {
    value: (value) => meanAndDeviation(value, { scale, digits, signed: false }),
    difference: (value) => meanAndDeviation(value, { scale, digits, signed: true }),
  };
}

interface NumberFormat {
  readonly scale: number;
  readonly digits: number;
  readonly signed: boolean;
}

/** Writes `88.3 ± 0.4`. */
function meanAndDeviation(value: Spread | null, { scale, digits, signed }: NumberFormat): string {
  if (value === null) return NONE;
  const mean = (value.mean * scale).toFixed(digits);
  const sign = signed && value.mean >= 0 ? '+' : '';
  const deviation = value.deviation === null ? '' : ` ± ${(value.deviation * scale).toFixed(digits)}`;
  return `${sign}${mean}${deviation}`;
}

/** Writes the mean alone, in percent. */
export function share(value: Spread | null): string {
  return value === null ? NONE : (100 * value.mean).toFixed(1);
}

/** Writes `12.3`, or `≥ 12.3` for a lower bound. */
export function ratio(value: Ratio | null): string {
  if (value === null) return NONE;
  return `${value.bound ? '≥ ' : ''}${value.value.toFixed(value.value < 10 ? 2 : 1)}`;
}

/** Writes milliseconds as seconds. */
export function seconds(ms: number | null): string {
  return ms === null ? NONE : (ms / 1000).toFixed(ms < 100_000 ? 1 : 0);
}

/**
 * Writes a Markdown table.
 * @param align alignment of all columns but the first: `right` for figures, `left` for text
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  align: 'left' | 'right' = 'right',
): string[] {
  const rest = align === 'right' ? '---:' : '---';
  return [line(header), line(header.map((_, i) => (i === 0 ? '---' : rest))), ...rows.map(line)];
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/**
 * Puts marks around a table. Pages copy the table with its marks, and lab/test/experiments/kept-results.test.ts
 * compares each copy with the table made from the kept results of the experiment.
 * @param of name of the experiment
 * @param name name of the table, unique within its report
 */
export function marked(
  { of, name }: { readonly of: string; readonly name: string },
  lines: readonly string[],
): string[] {
  return [`<!-- ${of}: ${name} -->`, '', ...lines, '', `<!-- end of ${of}: ${name} -->`];
}
