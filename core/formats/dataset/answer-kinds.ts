import { hasAnswer, type DatasetRow } from './dataset-row.ts';

/** The rows of one kind: how many there are, and the lines of the first of them. */
interface Kind {
  count: number;
  readonly lines: number[];
}

/** Counts the rows with an answer and those without one while they pass: a dataset has one of both kinds alone. */
export class AnswerKinds {
  readonly #with: Kind = { count: 0, lines: [] };
  readonly #without: Kind = { count: 0, lines: [] };
  readonly #listed: number;

  /** @param listed number of lines that are named at most */
  constructor(listed: number) {
    this.#listed = listed;
  }

  add(row: DatasetRow): void {
    const kind = hasAnswer(row) ? this.#with : this.#without;
    if (++kind.count <= this.#listed) kind.lines.push(row.line);
  }

  /** Number of rows of the kind that fewer rows are of. */
  get fewest(): number {
    return Math.min(this.#with.count, this.#without.count);
  }

  /** What is wrong with the rows of the kind that fewer rows are of, if there are both kinds. */
  problems(): { readonly count: number; readonly problems: readonly { line: number; reason: string }[] } {
    const [few, found, many, others] =
      this.#with.count < this.#without.count
        ? ([this.#with, 'an answer', this.#without, 'none'] as const)
        : ([this.#without, 'no answer', this.#with, 'one'] as const);
    if (few.count === 0) return { count: 0, problems: [] };
    const reason =
      `has ${found} (a completion, or a last message of the assistant), and ${many.count} other rows have ${others}, ` +
      `the first in line ${many.lines[0]}: expected all rows to have one, or none`;
    return { count: few.count, problems: few.lines.map((line) => ({ line, reason })) };
  }
}
