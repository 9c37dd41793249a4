import { UNKNOWN } from './format.ts';

const NAMES: Readonly<Record<string, string>> = {
  exact_match: 'exact match',
  rouge_l: 'ROUGE-L',
  token_f1: 'token F1',
};

/** Name of a gate's metric for people: `exact match` for `exact_match`. */
export const metricName = (name: string): string => NAMES[name] ?? name;

/** Value of a metric with at most four decimals: `0.715`. */
export function metricValue(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : String(Number(value.toFixed(4)));
}

/** Threshold of a gate in words: `at least 0.705`, or `at most` for a loss, where less is better. */
export function asked(metric: string, needed: number | null): string {
  return `${metric === 'loss' ? 'at most' : 'at least'} ${metricValue(needed)}`;
}
