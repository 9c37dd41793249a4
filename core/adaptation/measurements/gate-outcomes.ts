import { createHash } from 'node:crypto';
import { answerLimits, answerOf, longestCompletionOf } from '../../data/evaluation/generated-answers.ts';
import { summarizeMetric, textScore } from '../../data/evaluation/measure.ts';
import { labelCount, type TokenizedExample } from '../../data/example.ts';
import { inFileOrder, inLookOrder } from '../../data/look-order.ts';
import type { TaskData } from '../../data/task-data.ts';
import { expectedText } from '../../formats/dataset/dataset-row.ts';
import type { GateMeasurement, SearchMeasurement } from '../../method/gate/readiness-gate.ts';
import { isGenerated, type MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';

/**
 * Outcomes of an adapter on its gate rows, as stored for the job that will carry the adapter over to the next base.
 * Plain JSON.
 */
export interface GateOutcomes {
  /**
   * Hash of the inputs of the measurement apart from base and adapter: metric, measured rows, choices and the base's
   * precision. Outcomes with equal digests can be compared.
   */
  readonly digest: string;
  readonly value: number;
  readonly standardError: number;
  /**
   * Outcome of each gate row, in the order of the file; or, if the measurement ended early, of the first rows in the
   * order in which gate rows are measured. An outcome is 1 for a right row and 0 for a wrong one; for `rouge_l` and
   * `token_f1` a score from 0 to 1; for `loss` the sum of the losses of the completion tokens, in nats.
   */
  readonly values: readonly number[];
  /**
   * Outcomes of this adapter on the search rows, with which those of adapters in training are compared; absent if they
   * are not known.
   */
  readonly watched?: WatchedOutcomes;
}

/** Outcomes of an adapter on the search rows on which adapters in training are measured. Plain JSON. */
export interface WatchedOutcomes {
  /** Hash of the inputs of the measurement, as in {@link GateOutcomes}. */
  readonly digest: string;
  /** Outcome of each row, in the order in which search rows are measured. */
  readonly values: readonly number[];
}

/**
 * Version from which the margin of a gate counts, with its metric: a candidate may be worse than this version by no
 * more than the margin. Plain JSON.
 */
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
  /** Search rows on which adapters in training are measured; absent if the version is measured on gate rows alone. */
  readonly watched?: readonly TokenizedExample[];
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
  maxNewTokens,
  endOfTextIds,
  ...subject
}: Omit<OutcomesSubject, 'generation'> & NonNullable<OutcomesSubject['generation']>): OutcomesSubject {
  return { ...subject, ...(isGenerated(subject.metric) && { generation: { maxNewTokens, endOfTextIds } }) };
}

/** Converts a measurement on the gate rows to the form in which outcomes are stored. */
export function toOutcomes({ metric, outcomes, onSearch }: GateMeasurement, subject: OutcomesSubject): GateOutcomes {
  const { value, standardError, rows, available } = metric;
  const values = Array.from(outcomes.values);
  return {
    digest: digestOf(subject, rows),
    value,
    standardError,
    values: available === undefined ? inFileOrder(values) : values,
    ...(onSearch && Number.isFinite(onSearch.metric.value) && { watched: toWatched(onSearch, subject) }),
  };
}

function toWatched({ outcomes }: SearchMeasurement, subject: OutcomesSubject): WatchedOutcomes {
  return { digest: hashOf(watchedKeys(subject)), values: Array.from(outcomes.values) };
}

/**
 * Converts stored outcomes to a measurement of all gate rows or, if the stored measurement ended early, of the first
 * ones. Returns null if the outcomes were measured with other inputs than `subject`, such as other rows.
 */
export function fromOutcomes(stored: GateOutcomes, subject: OutcomesSubject): GateMeasurement | null {
  const { value, standardError, values, watched } = stored;
  const available = subject.data.gate.length;
  if (values.length > available || stored.digest !== digestOf(subject, values.length)) return null;
  const inOrder = values.length < available ? values : inLookOrder(values);
  const isSame = watched !== undefined && watched.digest === hashOf(watchedKeys(subject));
  return {
    ...toMeasurement(inOrder, subject, { value, standardError }),
    ...(isSame && { onSearch: onSearchRows(watched.values, subject) }),
  };
}

/**
 * Returns the outcomes of the measured rows as a map. Its keys are hashes of the rows' inputs, so that a measurement of
 * another selection of these rows can use the outcomes as well. Outcomes that are not finite are left out.
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
  const valuesOf = (keys: readonly string[]) => keys.flatMap((key) => stored.get(key) ?? []);
  const [values, watched] = [valuesOf(rowKeys(subject)), valuesOf(watchedKeys(subject))];
  if (values.length < subject.data.gate.length) return null;
  return onAllRows(values, watched, subject);
}

/**
 * Returns the measurement of the version that has written the completions of the gate rows. This version need not be
 * run: its outcome on a row is the score of the row's completion against itself.
 * @throws RangeError for a metric that does not compare generated text
 */
export function writersMeasurement(subject: OutcomesSubject): GateMeasurement {
  const { metric, data } = subject;
  if (!isGenerated(metric)) throw new RangeError(`metric ${metric} does not compare generated text`);
  const scoreOf = ({ row }: TokenizedExample) => textScore(metric, expectedText(row), expectedText(row));
  return onAllRows(data.gate.map(scoreOf), (subject.watched ?? []).map(scoreOf), subject);
}

/**
 * Makes a measurement of all gate rows from their outcomes. It includes the search rows on which adapters in training
 * are measured, if all of them have outcomes.
 */
function onAllRows(values: readonly number[], watched: readonly number[], subject: OutcomesSubject): GateMeasurement {
  const summary = summarizeMetric(subject.metric, values, completionTokens(subject.data));
  const isWatched = watched.length > 0 && watched.length === subject.watched?.length;
  return {
    ...toMeasurement(values, subject, summary),
    ...(isWatched && { onSearch: onSearchRows(watched, subject) }),
  };
}

function onSearchRows(values: readonly number[], { metric: name, watched = [] }: OutcomesSubject): SearchMeasurement {
  const tokens = watched.map(labelCount);
  return {
    metric: { name, ...summarizeMetric(name, values, tokens), rows: values.length },
    outcomes: { values, tokens },
  };
}

/** Returns the number of completion tokens of each gate row. */
export function completionTokens({ gate }: Pick<TaskData, 'gate'>): number[] {
  return gate.map(labelCount);
}

/**
 * Makes a measurement of all gate rows, or of the first ones, from their outcomes in the order in which they were
 * measured.
 */
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

/**
 * Returns the digest of a measurement of `rows` gate rows. It covers all gate rows in the order of the file or, if
 * fewer were measured, the measured ones in the order in which gate rows are measured.
 */
function digestOf(subject: OutcomesSubject, rows: number): string {
  const keys = rowKeys(subject);
  const measured = rows < keys.length ? keys.slice(0, rows) : inFileOrder(keys);
  return hashOf(measured);
}

function hashOf(keys: readonly string[]): string {
  return `sha256:${createHash('sha256').update(keys.join()).digest('hex')}`;
}

/** Returns a key for each gate row, by {@link keysOf}. */
function rowKeys(subject: OutcomesSubject): string[] {
  return keysOf(subject.data.gate, subject);
}

/** Returns a key for each search row on which adapters in training are measured, by {@link keysOf}. */
function watchedKeys(subject: OutcomesSubject): string[] {
  return keysOf(subject.watched ?? [], subject);
}

/**
 * Returns a key for each row: a hash of the inputs that the row's value depends on. Rows are hashed as tokens, so a
 * tokenizer that splits them differently changes the keys.
 */
function keysOf(
  rows: readonly TokenizedExample[],
  { metric, data: { gate, choices }, precision, generation }: OutcomesSubject,
): string[] {
  const longestCompletion = longestCompletionOf(gate);
  const limits =
    generation && answerLimits(rows.map(answerOf), generation.endOfTextIds, { ...generation, longestCompletion });
  return rows.map(({ tokenIds, labelSpans, row }, index) => {
    const ranked = metric === 'accuracy' && choices ? choices.tokensOf(row).rests : null;
    const generated = limits ? [limits[index], generation?.endOfTextIds] : null;
    return createHash('sha256')
      .update(JSON.stringify([metric, precision, ranked, tokenIds, labelSpans, generated]))
      .digest('hex')
      .slice(0, 32);
  });
}
