/** Item with the groups by which its time is estimated. */
export interface Grouped {
  /** Groups of items that take about the same time, from the most similar items to all. */
  readonly groups: readonly string[];
}

/** Estimates the remaining time from the times of similar items. */
export class Estimate {
  readonly #times = new Map<string, { total: number; count: number }>();

  /** Adds a measured item. @param ms its time in milliseconds */
  note({ groups }: Grouped, ms: number): void {
    for (const group of groups) {
      const { total, count } = this.#times.get(group) ?? { total: 0, count: 0 };
      this.#times.set(group, { total: total + ms, count: count + 1 });
    }
  }

  /**
   * Adds up the expected milliseconds of these items. The expected time of an item is the mean of its most similar
   * measured group.
   * @returns null if an item has no measured group
   */
  left(items: readonly Grouped[]): number | null {
    let sum = 0;
    for (const { groups } of items) {
      const known = groups.map((group) => this.#times.get(group)).find((time) => time !== undefined);
      if (!known) return null;
      sum += known.total / known.count;
    }
    return sum;
  }
}
