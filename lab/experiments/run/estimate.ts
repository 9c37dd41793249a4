/** An item that has been measured or will be. */
export interface Grouped {
  /** Groups of items that take about as long, from the most similar items to all. */
  readonly groups: readonly string[];
}

/** Estimates the remaining time from what similar items took before. */
export class Estimate {
  readonly #times = new Map<string, { total: number; count: number }>();

  /** @param ms milliseconds that the item took */
  note({ groups }: Grouped, ms: number): void {
    for (const group of groups) {
      const { total, count } = this.#times.get(group) ?? { total: 0, count: 0 };
      this.#times.set(group, { total: total + ms, count: count + 1 });
    }
  }

  /**
   * Adds up the expected milliseconds of these items. An item is expected to take the mean of its most similar group that
   * has been measured.
   * @returns null as long as there is an item without any measured group
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
