import { hasAnswer, type DatasetRow } from './dataset-row.ts';

/** Number of the rows with an answer, or of those without one, and the line numbers of the first such rows. */
interface Kind {
  count: number;
  readonly lines: number[];
}

/** Counts the rows with an answer and the rows without one, because a dataset must not mix the two. */
export class AnswerKinds {
  readonly #with: Kind = { count: 0, lines: [] };
  readonly #without: Kind = { count: 0, lines: [] };
  readonly #listed: number;

  /** @param listed largest number of lines that the problems name */
  constructor(listed: number) {
    this.#listed = listed;
  }

  add(row: DatasetRow): void {
    const kind = hasAnswer(row) ? this.#with : this.#without;
    if (++kind.count <= this.#listed) kind.lines.push(row.line);
  }

  /** Number of rows with an answer or number of rows without one, whichever is smaller. */
  get rarerCount(): number {
    return Math.min(this.#with.count, this.#without.count);
  }

  /**
   * Returns the number of rows of the rarer kind, either with or without an answer, and a problem for each of the first
   * such rows. If all rows are of one kind, the number is 0 and there are no problems.
   */
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
