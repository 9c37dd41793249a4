import { createHash } from 'node:crypto';
import type { GateMeasurement } from '../method/gate/readiness-gate.ts';
import type { MetricName } from '../options/metrics.ts';
import type { GateOutcomes } from '../../workers/training/protocol.ts';
import type { TaskData } from '../data/task-data.ts';

/** What a measurement depends on beside base and adapter. */
export interface OutcomesSubject {
  readonly metric: MetricName;
  readonly data: Pick<TaskData, 'gate' | 'choices'>;
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

/** Number of completion tokens of each gate row. */
export function completionTokens({ gate }: Pick<TaskData, 'gate'>): number[] {
  return gate.map(({ completionIds }) => completionIds.length);
}

/** SHA-256 of everything in the subject: rows as tokens, so that a tokenizer that cuts them otherwise makes them others. */
function digestOf({ metric, data: { gate, choices }, precision }: OutcomesSubject): string {
  const rows = gate.map(({ promptIds, completionIds }) => [promptIds, completionIds]);
  const ranked = metric === 'accuracy' && choices ? [choices.prefix, choices.suffixes] : null;
  return `sha256:${createHash('sha256')
    .update(JSON.stringify([metric, precision, ranked, rows]))
    .digest('hex')}`;
}
