import { UNKNOWN } from './format.ts';

const NAMES: Readonly<Record<string, string>> = {
  exact_match: 'exact match',
  rouge_l: 'ROUGE-L',
  token_f1: 'token F1',
};

/** The metric of a gate, as people write it. */
export const metricName = (name: string): string => NAMES[name] ?? name;

/** A value of a metric: `0.715`. */
export function metricValue(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : String(Number(value.toFixed(4)));
}

/** `at least 0.705`; a loss has to be small. */
export function asked(metric: string, needed: number | null): string {
  return `${metric === 'loss' ? 'at most' : 'at least'} ${metricValue(needed)}`;
}
