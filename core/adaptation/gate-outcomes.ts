import { createHash } from 'node:crypto';
import type { GateMeasurement } from '../method/gate/readiness-gate.ts';
import type { MetricName } from '../options/metrics.ts';
import type { GateOutcomes } from '../../workers/training/protocol.ts';
import type { TaskData } from '../data/task-data.ts';

/** What a measurement depends on beside base and adapter. */
export interface OutcomesSubject {
  readonly metric: MetricName;
  readonly data: Pick<TaskData, 'test' | 'choices'>;
  /** What the base is computed in. */
  readonly precision: string;
}

/** A measurement on the gate's rows as it is kept. */
export function toOutcomes({ metric, outcomes }: GateMeasurement, subject: OutcomesSubject): GateOutcomes {
  const { value, standardError } = metric;
  return { digest: digestOf(subject), value, standardError, values: Array.from(outcomes.values) };
}

/** What was kept as a measurement; null where it was measured otherwise: on other rows, say. */
export function fromOutcomes(kept: GateOutcomes, subject: OutcomesSubject): GateMeasurement | null {
  const { metric, data } = subject;
  if (kept.digest !== digestOf(subject)) return null;
  const { value, standardError, values } = kept;
  return {
    metric: { name: metric, value, standardError, rows: values.length },
    outcomes: { values, tokens: completionTokens(data) },
  };
}

/** Completion tokens of the gate's rows. */
export function completionTokens({ test }: Pick<TaskData, 'test'>): number[] {
  return test.map(({ completionIds }) => completionIds.length);
}

/** SHA-256 of everything in the subject: rows as tokens, so that a tokenizer that cuts them otherwise makes them others. */
function digestOf({ metric, data: { test, choices }, precision }: OutcomesSubject): string {
  const rows = test.map(({ promptIds, completionIds }) => [promptIds, completionIds]);
  const ranked = metric === 'accuracy' && choices ? [choices.prefix, choices.suffixes] : null;
  return `sha256:${createHash('sha256')
    .update(JSON.stringify([metric, precision, ranked, rows]))
    .digest('hex')}`;
}
