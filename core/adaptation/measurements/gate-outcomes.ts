import { createHash } from 'node:crypto';
import { labelCount } from '../../data/example.ts';
import type { TaskData } from '../../data/task-data.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import type { MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';

/** How an adapter did on each gate row, as it is stored for the gate of its successor. Plain JSON. */
export interface GateOutcomes {
  /** Identifies what was measured besides base and adapter: metric, rows, choices and the base's precision. */
  readonly digest: string;
  readonly value: number;
  readonly standardError: number;
  /**
   * In the order of the rows: 1 right and 0 wrong; for `rouge_l` and `token_f1` a number from 0 to 1; for `loss` the sum
   * over the completion tokens, in nats.
   */
  readonly values: readonly number[];
}

/** What a measurement depends on besides base and adapter. */
export interface OutcomesSubject {
  readonly metric: MetricName;
  readonly data: Pick<TaskData, 'gate' | 'choices'>;
  /** Precision in which the base is computed. */
  readonly precision: Precision;
  /** Where generated texts end. Present if the metric is measured on such. */
  readonly generation?: { readonly maxNewTokens: number; readonly endOfTextIds: readonly number[] };
}

/** Converts a measurement on the gate rows to the stored form. */
export function toOutcomes({ metric, outcomes }: GateMeasurement, subject: OutcomesSubject): GateOutcomes {
  const { value, standardError } = metric;
  return { digest: digestOf(subject), value, standardError, values: Array.from(outcomes.values) };
}

/** Converts stored outcomes back to a measurement. Returns null if they describe another subject, such as other rows. */
export function fromOutcomes(stored: GateOutcomes, subject: OutcomesSubject): GateMeasurement | null {
  if (stored.digest !== digestOf(subject)) return null;
  const { value, standardError, values } = stored;
  return {
    metric: { name: subject.metric, value, standardError, rows: values.length },
    outcomes: { values, tokens: completionTokens(subject.data) },
  };
}

/** Returns the number of completion tokens of each gate row. */
export function completionTokens({ gate }: Pick<TaskData, 'gate'>): number[] {
  return gate.map(labelCount);
}

/** Hashes the whole subject. Rows count as tokens, so that a tokenizer that splits them differently changes the digest. */
function digestOf({ metric, data: { gate, choices }, precision, generation }: OutcomesSubject): string {
  const rows = gate.map(({ tokenIds, labelSpans }) => [tokenIds, labelSpans]);
  const ranked = metric === 'accuracy' && choices ? gate.map(({ row }) => choices.tokensOf(row).rests) : null;
  return `sha256:${createHash('sha256')
    .update(JSON.stringify([metric, precision, ranked, rows, ...(generation ? [generation] : [])]))
    .digest('hex')}`;
}
