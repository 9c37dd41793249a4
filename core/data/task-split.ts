import { createHash } from 'node:crypto';
import { questionOf, type DatasetRow, type DatasetSplit, type GivenContent } from '../formats/dataset/dataset-row.ts';
import type { ExampleRow } from './example.ts';

export type SplitRows<Row extends GivenContent = ExampleRow> = Readonly<Record<DatasetSplit, readonly Row[]>>;

/**
 * Divides the rows of a dataset into training rows, search rows and gate rows. If any row names a split, each row goes
 * to the split that it names, and rows that name none become training rows. If such a dataset has no gate rows, its
 * search rows are divided into search and gate rows. If no row names a split, about 10 % become search rows, 10 % gate
 * rows, and the rest training rows. They are chosen by the hash of their prompts, so that rows with equal prompts stay
 * together. The service gives every row a split at upload.
 */
export function splitRows<Row extends DatasetRow>(rows: readonly Row[]): SplitRows<Row> {
  if (rows.some(({ split }) => split !== undefined)) {
    const of = (name: DatasetSplit): Row[] => rows.filter(({ split }) => (split ?? 'training') === name);
    const [training, search, gate] = [of('training'), of('search'), of('gate')];
    return gate.length > 0 ? { training, search, gate } : { training, ...splitHeldOut(search) };
  }
  const [search, rest] = takeByHash(rows, 0.1);
  const [gate, training] = takeByHash(rest, 0.1 / 0.9);
  return { training, search, gate };
}

/** Divides held-out rows: a third of them, but at most 64, become search rows and the others gate rows. */
export function splitHeldOut<Row extends DatasetRow>(rows: readonly Row[]): { search: Row[]; gate: Row[] } {
  const [search, gate] = takeByHash(rows, Math.min(1 / 3, 64 / rows.length));
  return { search, gate };
}

/**
 * Removes the search rows whose prompt is also that of a gate row: gate rows must not judge coefficients that they have
 * helped to choose.
 */
export function keepGateApart<Row extends GivenContent>(rows: SplitRows<Row>) {
  const prompts = new Set(rows.gate.map(questionOf));
  const search = rows.search.filter((row) => !prompts.has(questionOf(row)));
  return { rows: { ...rows, search }, removed: rows.search.length - search.length };
}

/**
 * Chooses about `share` of the rows by the hash of their prompts; at least one row if there are two or more.
 * @returns the chosen rows and the others, both in their original order
 */
function takeByHash<Row extends DatasetRow>(rows: readonly Row[], share: number): [Row[], Row[]] {
  const hashOf = (prompt: string): string => createHash('sha256').update(prompt).digest('hex');
  const questions = rows.map(questionOf);
  const byHash = new Map(questions.map((question) => [hashOf(question), question]));
  const count = Math.min(byHash.size - 1, Math.max(1, Math.round(share * byHash.size)));
  const chosen = [...byHash].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, count);
  const prompts = new Set(chosen.map(([, question]) => question));
  const isChosen = (_: Row, index: number): boolean => prompts.has(questions[index]!);
  return [rows.filter(isChosen), rows.filter((row, index) => !isChosen(row, index))];
}
