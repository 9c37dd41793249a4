import { createHash } from 'node:crypto';
import { answerLimits, answerOf } from '../../data/evaluation/generated-answers.ts';
import { summarizeMetric, textScore } from '../../data/evaluation/measure.ts';
import { labelCount } from '../../data/example.ts';
import { inFileOrder, inLookOrder } from '../../data/look-order.ts';
import type { TaskData } from '../../data/task-data.ts';
import { expectedText } from '../../formats/dataset/dataset-row.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import { isGenerated, type MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';

/** Outcomes of an adapter on its gate rows, as stored for the job that carries it over to the next base. Plain JSON. */
export interface GateOutcomes {
  /**
   * Hash of the inputs of the measurement apart from base and adapter: metric, measured rows, choices and the base's
   * precision. Outcomes with equal digests can be compared.
   */
  readonly digest: string;
  readonly value: number;
  readonly standardError: number;
  /**
   * Outcome of each row, in the order of the file, or of the first rows of a look that has ended early: 1 if right and
   * 0 if wrong; for `rouge_l` and `token_f1` a score from 0 to 1; for `loss` the sum of the losses of the completion
   * tokens, in nats.
   */
  readonly values: readonly number[];
}

/** Version from which the margin of a gate counts, with its metric. Plain JSON. */
export interface CountedFrom {
  /**
   * Name of the version from which the margin counts: the job's `anchor`, or the `old` version, which is carried over.
   */
  readonly version: 'anchor' | 'old';
  /** Metric of the version from which the margin counts, on the gate rows and on its own base. */
  readonly value: number;
  /** Outcomes of the anchor, to be stored, if this job measured the anchor; null otherwise. */
  readonly outcomes: GateOutcomes | null;
}

/** Inputs of a measurement on the gate rows, apart from the weights of base and adapter. */
export interface OutcomesSubject {
  readonly metric: MetricName;
  readonly data: Pick<TaskData, 'gate' | 'choices'>;
  /** Precision of the base's matrices during the measurement. */
  readonly precision: Precision;
  /** Limits of the generated texts; absent if the metric does not judge generated text. */
  readonly generation?: { readonly maxNewTokens: number; readonly endOfTextIds: readonly number[] };
}

/**
 * Collects the inputs of a measurement on the gate rows. `maxNewTokens` and `endOfTextIds` are left out for a metric
 * that does not judge generated text.
 */
export function subjectOf({
  metric,
  data,
  precision,
  maxNewTokens,
  endOfTextIds,
}: Pick<OutcomesSubject, 'metric' | 'data' | 'precision'> &
  NonNullable<OutcomesSubject['generation']>): OutcomesSubject {
  return { metric, data, precision, ...(isGenerated(metric) && { generation: { maxNewTokens, endOfTextIds } }) };
}

/** Converts a measurement on the gate rows to the form in which outcomes are stored. */
export function toOutcomes({ metric, outcomes }: GateMeasurement, subject: OutcomesSubject): GateOutcomes {
  const { value, standardError, rows, available } = metric;
  const values = Array.from(outcomes.values);
  return {
    digest: digestOf(subject, rows),
    value,
    standardError,
    values: available === undefined ? inFileOrder(values) : values,
  };
}

/**
 * Converts stored outcomes to a measurement of all rows, or of the first of a look that has ended early; null if they
 * were measured with other inputs than `subject`, such as other rows.
 */
export function fromOutcomes(stored: GateOutcomes, subject: OutcomesSubject): GateMeasurement | null {
  const { value, standardError, values } = stored;
  const available = subject.data.gate.length;
  if (values.length > available || stored.digest !== digestOf(subject, values.length)) return null;
  return toMeasurement(values.length < available ? values : inLookOrder(values), subject, { value, standardError });
}

/**
 * Returns the outcome of each measured row by a key, which is a hash of the row's inputs. Another selection of the same
 * rows can then use the outcomes as well. Outcomes that are not finite are left out.
 */
export function toRowOutcomes(values: ArrayLike<number>, subject: OutcomesSubject): Map<string, number> {
  const keys = rowKeys(subject).slice(0, values.length);
  const rows = keys.map((key, row): [string, number] => [key, values[row]!]);
  return new Map(rows.filter(([, value]) => Number.isFinite(value)));
}

/**
 * Makes a measurement of the gate rows from outcomes that are stored by the rows' keys; null if the outcome of a row is
 * missing.
 */
export function fromRowOutcomes(stored: ReadonlyMap<string, number>, subject: OutcomesSubject): GateMeasurement | null {
  const values = rowKeys(subject).flatMap((key) => stored.get(key) ?? []);
  if (values.length < subject.data.gate.length) return null;
  return toMeasurement(values, subject, summarizeMetric(subject.metric, values, completionTokens(subject.data)));
}

/**
 * Returns the measurement of the version that has written the completions of the gate rows. It need not run: its
 * outcome on a row is the score of the completion against itself.
 * @throws RangeError for a metric that does not compare generated text
 */
export function writersMeasurement(subject: OutcomesSubject): GateMeasurement {
  const { metric, data } = subject;
  if (!isGenerated(metric)) throw new RangeError(`metric ${metric} does not compare generated text`);
  const values = data.gate.map(({ row }) => textScore(metric, expectedText(row), expectedText(row)));
  return toMeasurement(values, subject, summarizeMetric(metric, values, []));
}

/** Returns the number of completion tokens of each gate row. */
export function completionTokens({ gate }: Pick<TaskData, 'gate'>): number[] {
  return gate.map(labelCount);
}

/** Makes a measurement of all gate rows, or of the first of them, from their outcomes in the order of the look. */
export function toMeasurement(
  values: ArrayLike<number>,
  { metric: name, data }: Pick<OutcomesSubject, 'metric' | 'data'>,
  summary: Pick<GateOutcomes, 'value' | 'standardError'>,
): GateMeasurement {
  const { value, standardError } = summary;
  const [rows, available] = [values.length, data.gate.length];
  return {
    metric: { name, value, standardError, rows, ...(rows < available && { available }) },
    outcomes: { values, tokens: completionTokens(data).slice(0, rows) },
  };
}

/** Returns the digest of all rows in the order of the file, or of the first rows of the look if there are fewer. */
function digestOf(subject: OutcomesSubject, rows: number): string {
  const keys = rowKeys(subject);
  const measured = rows < keys.length ? keys.slice(0, rows) : inFileOrder(keys);
  return `sha256:${createHash('sha256').update(measured.join()).digest('hex')}`;
}

/**
 * Returns a key for each gate row: a hash of the inputs that the row's value depends on. Rows are hashed as tokens, so
 * a tokenizer that splits them differently changes the keys.
 */
function rowKeys({ metric, data: { gate, choices }, precision, generation }: OutcomesSubject): string[] {
  const limits = generation && answerLimits(gate.map(answerOf), generation.endOfTextIds, generation);
  return gate.map(({ tokenIds, labelSpans, row }, index) => {
    const ranked = metric === 'accuracy' && choices ? choices.tokensOf(row).rests : null;
    const generated = limits ? [limits[index], generation?.endOfTextIds] : null;
    return createHash('sha256')
      .update(JSON.stringify([metric, precision, ranked, tokenIds, labelSpans, generated]))
      .digest('hex')
      .slice(0, 32);
  });
}
