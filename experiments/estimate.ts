/** Something that was, or will be, measured. */
export interface Timed {
  /** Items that take about as long, from the most alike to all. */
  readonly groups: readonly string[];
}

/** How long is left, from what the same kind of item took before. */
export class Estimate {
  readonly #times = new Map<string, { total: number; count: number }>();

  /** @param ms what the item took */
  note({ groups }: Timed, ms: number): void {
    for (const group of groups) {
      const { total, count } = this.#times.get(group) ?? { total: 0, count: 0 };
      this.#times.set(group, { total: total + ms, count: count + 1 });
    }
  }

  /**
   * Milliseconds for these items: each the mean of its narrowest group that has a time.
   * @returns null while there is an item of which nothing alike was measured
   */
  left(items: readonly Timed[]): number | null {
    let sum = 0;
    for (const { groups } of items) {
      const known = groups.map((group) => this.#times.get(group)).find((time) => time !== undefined);
      if (!known) return null;
      sum += known.total / known.count;
    }
    return sum;
  }
}
