import { findChoices, type ChoiceSet } from './choices.ts';
import { areAnswered, loadGivenDataset, type GivenRow, type LoadedRow } from './dataset.ts';
import type { ExampleRow, TokenizedExample } from './example.ts';
import { lengthWarning } from './lengths.ts';
import { inLookOrder } from './look-order.ts';
import { tokenizeWithin, type RowBudget } from './row-budget.ts';
import { keepGateApart, splitHeldOut, splitRows, type SplitRows } from './task-split.ts';
import { tokenizeRows, type TokenizeOptions } from './tokenize.ts';

/**
 * Files with a task's rows. `file` is one JSONL file, which is divided by the `split` that its rows name, or by their
 * prompts if they name none. Otherwise, `train` is a file of training rows, and `validation` a file of held-out rows,
 * which are divided into search rows and gate rows. Without training rows, a job can copy an adapter, revert it or
 * search for its coefficients, but not train it.
 */
export type DataSpec = { readonly file: string } | { readonly train: string | null; readonly validation: string };

/** Rows of a task as text, divided into training, search and gate rows. */
export interface TaskRows extends SplitRows {
  /** Number of search rows that were removed because a gate row has the same prompt. */
  readonly removed: number;
}

/** Rows of a task as its files give them: with answers, or prompts alone. */
export type GivenTask =
  | { readonly promptsOnly: false; readonly rows: TaskRows }
  /** Rows that are prompts alone. A version has to answer them before they become rows of a task. */
  | { readonly promptsOnly: true; readonly rows: SplitRows<GivenRow> & Pick<TaskRows, 'removed'> };

/** A task's training, search and gate rows as tokens. */
export interface TaskData {
  /**
   * Training rows. They are tokenized at the first call, since an adapter that passes the gate untrained never needs
   * them.
   */
  training(): readonly TokenizedExample[];
  /** Whether there are training rows. */
  readonly canTrain: boolean;
  readonly search: readonly TokenizedExample[];
  /** Gate rows in the random order in which versions are measured. They share no prompt with the search rows. */
  readonly gate: readonly TokenizedExample[];
  /** Completions of the task from which a model chooses; null unless the task has 2 to 20 distinct ones. */
  readonly choices: ChoiceSet | null;
}

/** Error for a task whose rows do not suffice. A job that fails with this error is never retried. */
export class TaskDataError extends Error {
  readonly code = 'insufficient_data';
  readonly badInput = true;
}

/**
 * Loads a task and divides its rows. The division is the same in every run. Search rows and gate rows share no prompt.
 * @throws DatasetError; TaskDataError if there are no search rows or no gate rows, or if only one of two files has
 * answers
 */
export async function loadGivenTask(spec: DataSpec): Promise<GivenTask> {
  const split = 'file' in spec ? splitRows(await loadGivenDataset(spec.file)) : await loadPair(spec);
  const { rows, removed } = keepGateApart(split);
  requireHeldOut(rows, removed);
  const { training, search, gate } = rows;
  const answered = isAnswered(training, [...search, ...gate]);
  if (!answered) return { promptsOnly: true, rows: { ...rows, removed } };
  // Either all rows have answers, or none has.
  const of = (some: readonly GivenRow[]) => some as readonly LoadedRow[];
  return { promptsOnly: false, rows: { training: of(training), search: of(search), gate: of(gate), removed } };
}

/**
 * Loads and splits a task whose rows must have answers.
 * @throws the errors of {@link loadGivenTask}, and TaskDataError for prompts alone
 */
export async function loadTaskRows(spec: DataSpec): Promise<TaskRows> {
  const { promptsOnly, rows } = await loadGivenTask(spec);
  if (!promptsOnly) return rows;
  throw new TaskDataError(
    'the dataset has prompts alone, expected rows with answers (a completion, or a last message of the assistant)',
  );
}

/** Options for tokenizing a task's rows. */
export interface TaskOptions extends TokenizeOptions {
  /** Largest cost of measuring an adapter once on a split. Default: no limit. */
  readonly budget?: RowBudget | undefined;
}

/**
 * Tokenizes a task's rows. It uses no more search rows and gate rows than the budget allows.
 * @param warn receives warnings about the rows
 * @throws TokenizeError, NoEndOfTextError
 */
export function tokenizeTask(
  { training, search, gate, removed }: TaskRows,
  { budget, ...options }: TaskOptions,
  warn: (message: string) => void,
): TaskData {
  if (removed > 0) warn(`${removed} search rows have the prompt of a gate row and are left out of the search`);
  const tokenize = (name: string, rows: readonly ExampleRow[]): readonly TokenizedExample[] => {
    const isMeasured = name !== 'training' && budget !== undefined;
    const examples = isMeasured ? tokenizeWithin(rows, options, budget) : tokenizeRows(rows, options);
    if (examples.length < rows.length) warn(samplingWarning(name, examples.length, rows.length, budget?.tokens ?? 0));
    const warning = lengthWarning(name, examples, options);
    if (warning !== null) warn(warning);
    return examples;
  };
  let known: readonly TokenizedExample[] | undefined;
  return {
    training: () => (known ??= tokenize('training', training)),
    canTrain: training.length > 0,
    search: tokenize('search', search),
    gate: inLookOrder(tokenize('gate', gate)),
    choices: findChoices([...training, ...search, ...gate], options),
  };
}

/** Returns the warning that only a random sample of a split's rows is used. */
export function samplingWarning(name: string, used: number, all: number, tokens: number): string {
  return (
    `${used} of ${all} ${name} rows are used, a random sample that is always the same: ` +
    `measuring an adapter once may take ${tokens} tokens (READAPT_MEASURED_TOKENS)`
  );
}

export async function loadTaskData(
  spec: DataSpec,
  options: TaskOptions,
  warn: (message: string) => void = () => undefined,
): Promise<TaskData> {
  return tokenizeTask(await loadTaskRows(spec), options, warn);
}

function requireHeldOut({ search, gate }: SplitRows<GivenRow>, removed: number): void {
  if (search.length > 0 && gate.length > 0) return;
  throw new TaskDataError(
    removed > 0
      ? `each of the ${removed} search rows has the prompt of a gate row, expected at least one with another prompt`
      : `the dataset has ${search.length} search rows and ${gate.length} gate rows, expected at least one of each: ` +
          'give it held-out rows with two or more different prompts',
  );
}

/**
 * Whether the rows have answers.
 * @throws TaskDataError if only the training rows have answers, or only the held-out rows
 */
function isAnswered(training: readonly GivenRow[], heldOut: readonly GivenRow[]): boolean {
  const answered = areAnswered(heldOut);
  if (training.length === 0 || areAnswered(training) === answered) return answered;
  const [first] = training;
  const [these, those] = answered ? ['have no answers', 'have them'] : ['have answers', 'have none'];
  throw new TaskDataError(
    `the training rows (${first?.file}) ${these}, and the held-out rows (${heldOut[0]?.file}) ${those}: ` +
      'give answers to both, or to neither',
  );
}

/** Reads a file of training rows, if one is given, and a file of held-out rows. */
async function loadPair(spec: {
  readonly train: string | null;
  readonly validation: string;
}): Promise<SplitRows<GivenRow>> {
  const training = spec.train === null ? [] : await loadGivenDataset(spec.train);
  return { training, ...splitHeldOut(await loadGivenDataset(spec.validation)) };
}
