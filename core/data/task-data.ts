import { createHash } from 'node:crypto';
import type { Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ModelConfig } from '../models/config/model-config.ts';
import { findChoices, type ChoiceSet } from './choices.ts';
import { loadDataset } from './dataset.ts';
import type { DatasetRow, DatasetSplit } from '../formats/dataset/dataset-jsonl.ts';
import type { ExampleRow, TokenizedExample } from './example.ts';
import { tokenizeExamples } from './tokenize.ts';

/**
 * Files with a task's rows: one JSONL file that is split by the rows' own `split`, or by their prompts if they name none;
 * or a file of training rows and a file of held-out rows that is divided into search rows and gate rows. Without
 * training rows an adapter is copied, reverted or searched, but not trained.
 */
export type DataSpec = { readonly file: string } | { readonly train: string | null; readonly validation: string };

/** A task's training, search and gate rows as tokens. */
export interface TaskData {
  /** The training rows. They are tokenized at the first call, since an adapter that passes the gate untrained never needs them. */
  training(): readonly TokenizedExample[];
  /** Whether there are training rows. */
  readonly canTrain: boolean;
  readonly search: readonly TokenizedExample[];
  /** None of their prompts is the prompt of a search row. */
  readonly gate: readonly TokenizedExample[];
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
 * Loads, splits and tokenizes a task. The splits are the same in every run; search and gate share no prompt.
 * @throws TaskDataError if there are no search rows or no gate rows
 */
export async function loadTaskData(spec: DataSpec, options: TaskDataOptions): Promise<TaskData> {
  const split = 'file' in spec ? splitRows(await loadDataset(spec.file)) : await loadPair(spec);
  const { rows, removed } = keepGateApart(split);
  for (const name of ['search', 'gate'] as const) {
    if (rows[name].length === 0)
      throw new TaskDataError(`the dataset has no ${name} rows${removed > 0 ? ' of its own' : ''}`);
  }
  const tokenize = (list: readonly ExampleRow[]): TokenizedExample[] => tokenizeRows(list, options);
  let training: TokenizedExample[] | undefined;
  return {
    training: () => (training ??= tokenize(rows.training)),
    canTrain: rows.training.length > 0,
    search: tokenize(rows.search),
    gate: tokenize(rows.gate),
    choices: findChoices([...rows.training, ...rows.search, ...rows.gate], options.tokenizer),
    warnings:
      removed > 0 ? [`${removed} search rows have the prompt of a gate row and are left out of the search`] : [],
  };
}

/** Removes search rows whose prompt is also a gate row's: what the coefficients were chosen on must not judge them. */
export function keepGateApart(rows: SplitRows): { readonly rows: SplitRows; readonly removed: number } {
  const prompts = new Set(rows.gate.map(({ prompt }) => prompt));
  const search = rows.search.filter(({ prompt }) => !prompts.has(prompt));
  return { rows: { ...rows, search }, removed: rows.search.length - search.length };
}

/** Rows to tokens within the model's maximum length. */
export function tokenizeRows(
  rows: readonly ExampleRow[],
  { tokenizer, config, maxLength = DEFAULT_MAX_LENGTH }: TaskDataOptions,
): TokenizedExample[] {
  return tokenizeExamples(rows, tokenizer, { maxLength: Math.min(maxLength, config.maxPositionEmbeddings) });
}

export type SplitRows = Readonly<Record<DatasetSplit, readonly ExampleRow[]>>;

/**
 * Divides rows into splits. Rows keep the split they name (the service names every row's at upload); if any row names
 * one, rows that name none are training rows. If no row names one, 10 % become search rows and 10 % gate rows, chosen by
 * the hash of their prompts, so that equal prompts stay together. If no row is a gate row, the search rows are divided
 * into search and gate rows.
 */
export function splitRows(rows: readonly DatasetRow[]): SplitRows {
  if (rows.some(({ split }) => split !== undefined)) {
    const of = (name: DatasetSplit): DatasetRow[] => rows.filter(({ split }) => (split ?? 'training') === name);
    const [training, search, gate] = [of('training'), of('search'), of('gate')];
    return gate.length > 0 ? { training, search, gate } : { training, ...splitHeldOut(search) };
  }
  const [search, rest] = takeByHash(rows, 0.1);
  const [gate, training] = takeByHash(rest, 0.1 / 0.9);
  return { training, search, gate };
}

/** Reads a file of training rows, if there is one, and a validation file. */
async function loadPair(spec: { readonly train: string | null; readonly validation: string }): Promise<SplitRows> {
  const training = spec.train === null ? [] : await loadDataset(spec.train);
  return { training, ...splitHeldOut(await loadDataset(spec.validation)) };
}

/** Divides held-out rows: a third of them, but at most 64, become search rows and the others gate rows. */
function splitHeldOut(rows: readonly DatasetRow[]): { search: DatasetRow[]; gate: DatasetRow[] } {
  const [search, gate] = takeByHash(rows, Math.min(1 / 3, 64 / rows.length));
  return { search, gate };
}

/**
 * Chooses about `share` of the rows by the hash of their prompts: at least one, if there are two.
 * @returns the chosen rows and the others, both in their original order
 */
function takeByHash(rows: readonly DatasetRow[], share: number): [DatasetRow[], DatasetRow[]] {
  const hashes = rows.map(({ prompt }) => createHash('sha256').update(prompt).digest('hex'));
  const distinct = [...new Set(hashes)].sort();
  const taken = new Set(
    distinct.slice(0, Math.min(distinct.length - 1, Math.max(1, Math.round(share * distinct.length)))),
  );
  const isTaken = (_: DatasetRow, i: number): boolean => taken.has(hashes[i]!);
  return [rows.filter(isTaken), rows.filter((row, i) => !isTaken(row, i))];
}
