import { createHash } from 'node:crypto';
import type { Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ModelConfig } from '../models/config/model-config.ts';
import { findChoices, type ChoiceSet } from './choices.ts';
import { loadDataset } from './dataset.ts';
import type { DatasetRow } from '../formats/dataset/dataset-jsonl.ts';
import type { ExampleRow, TokenizedExample } from './example.ts';
import type { DataSpec } from '../../workers/training/protocol.ts';
import { tokenizeExamples } from './tokenize.ts';

/** A task's rows: what is trained on, what the search may look at, and what only the gate sees. */
export interface TaskData {
  /** Tokenized at the first call: an adapter that passes the gate untrained never needs them. */
  train(): readonly TokenizedExample[];
  /** Whether there are training rows. */
  readonly canTrain: boolean;
  /** The search's rows. */
  readonly validation: readonly TokenizedExample[];
  /** The gate's rows; no prompt of theirs is among the search's. */
  readonly test: readonly TokenizedExample[];
  /** Null where the completions are no small set. */
  readonly choices: ChoiceSet | null;
  /** What was found about the rows, for people. */
  readonly warnings: readonly string[];
}

export interface TaskDataOptions {
  readonly tokenizer: Tokenizer;
  readonly config: ModelConfig;
  /** Longest prompt and completion together; default the model's maximum, at most 512. */
  readonly maxLength?: number;
}

/** A task whose rows do not suffice; never retried. */
export class TaskDataError extends Error {
  readonly code = 'insufficient_data';
  readonly badInput = true;
}

const DEFAULT_MAX_LENGTH = 512;

/**
 * Loads, splits and tokenizes a task. The splits are the same in every run; search and gate share no row.
 * @throws TaskDataError where there are no rows to search on or to gate by
 */
export async function loadTaskData(spec: DataSpec, options: TaskDataOptions): Promise<TaskData> {
  const split = 'file' in spec ? splitRows(await loadDataset(spec.file)) : await loadPair(spec);
  const { rows, removed } = keepGateApart(split);
  for (const name of ['validation', 'test'] as const) {
    if (rows[name].length === 0)
      throw new TaskDataError(`the dataset has no ${name} rows${removed > 0 ? ' of its own' : ''}`);
  }
  const tokenize = (list: readonly ExampleRow[]): TokenizedExample[] => tokenizeRows(list, options);
  let train: TokenizedExample[] | undefined;
  return {
    train: () => (train ??= tokenize(rows.train)),
    canTrain: rows.train.length > 0,
    validation: tokenize(rows.validation),
    test: tokenize(rows.test),
    choices: findChoices([...rows.train, ...rows.validation, ...rows.test], options.tokenizer),
    warnings:
      removed > 0 ? [`${removed} search rows have the prompt of a gate row and are left out of the search`] : [],
  };
}

/** Takes the search's rows whose prompt the gate has too out of the search: the gate must not see what was chosen on. */
export function keepGateApart(rows: SplitRows): { readonly rows: SplitRows; readonly removed: number } {
  const prompts = new Set(rows.test.map(({ prompt }) => prompt));
  const validation = rows.validation.filter(({ prompt }) => !prompts.has(prompt));
  return { rows: { ...rows, validation }, removed: rows.validation.length - validation.length };
}

/** Rows to tokens within the model's maximum length. */
export function tokenizeRows(
  rows: readonly ExampleRow[],
  { tokenizer, config, maxLength = DEFAULT_MAX_LENGTH }: TaskDataOptions,
): TokenizedExample[] {
  return tokenizeExamples(rows, tokenizer, { maxLength: Math.min(maxLength, config.maxPositionEmbeddings) });
}

export interface SplitRows {
  readonly train: readonly ExampleRow[];
  readonly validation: readonly ExampleRow[];
  readonly test: readonly ExampleRow[];
}

/**
 * Rows keep the split they name (the service names each row's at upload), those that name none are training rows. Where
 * no row names one, 10 % are validation and 10 % test rows, chosen by the hash of their prompts, equal prompts together.
 * Where no row is a test row, the validation rows are divided into both.
 */
export function splitRows(rows: readonly DatasetRow[]): SplitRows {
  if (rows.some(({ split }) => split !== undefined)) {
    const of = (name: string): DatasetRow[] => rows.filter(({ split }) => (split ?? 'train') === name);
    const [train, held, test] = [of('train'), of('validation'), of('test')];
    return test.length > 0 ? { train, validation: held, test } : { train, ...splitHeldOut(held) };
  }
  const [validation, rest] = takeByHash(rows, 0.1);
  const [test, train] = takeByHash(rest, 0.1 / 0.9);
  return { train, validation, test };
}

/** Two files: what is trained on, if anything, and what is held out. */
async function loadPair(spec: { readonly train: string | null; readonly validation: string }): Promise<SplitRows> {
  const train = spec.train === null ? [] : await loadDataset(spec.train);
  return { train, ...splitHeldOut(await loadDataset(spec.validation)) };
}

/** Held-out rows that name no test split serve search and gate: a third of them, 64 at most, are the search's. */
function splitHeldOut(rows: readonly DatasetRow[]): { validation: DatasetRow[]; test: DatasetRow[] } {
  const [validation, test] = takeByHash(rows, Math.min(1 / 3, 64 / rows.length));
  return { validation, test };
}

/** About `share` of the rows (one at least where there are two), chosen by hash, and the rest; both in their order. */
function takeByHash(rows: readonly DatasetRow[], share: number): [DatasetRow[], DatasetRow[]] {
  const hashes = rows.map(({ prompt }) => createHash('sha256').update(prompt).digest('hex'));
  const distinct = [...new Set(hashes)].sort();
  const taken = new Set(
    distinct.slice(0, Math.min(distinct.length - 1, Math.max(1, Math.round(share * distinct.length)))),
  );
  const isTaken = (_: DatasetRow, i: number): boolean => taken.has(hashes[i]!);
  return [rows.filter(isTaken), rows.filter((row, i) => !isTaken(row, i))];
}
