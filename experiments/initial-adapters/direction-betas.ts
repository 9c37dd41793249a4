/** Numbers of every direction of the base's change, by module, in the order of its singular values. */
export type ByDirection = ReadonlyMap<string, Float64Array>;

/**
 * Collects ∂loss/∂beta of every direction, row by row, and says how certain its sign is: t = √n · mean / deviation over the n rows. A row's
 * loss is the sum over its labels, so the mean has the sign of the slope of the whole loss.
 */
export class DirectionEvidence {
  readonly #sums = new Map<string, { readonly values: Float64Array; readonly squares: Float64Array }>();
  #rows = 0;

  /** Adds the slopes of the loss of one row. */
  add(slopes: ByDirection): void {
    this.#rows++;
    for (const [module, values] of slopes) {
      const sums = this.#sums.get(module) ?? {
        values: new Float64Array(values.length),
        squares: new Float64Array(values.length),
      };
      this.#sums.set(module, sums);
      values.forEach((value, k) => {
        sums.values[k]! += value;
        sums.squares[k]! += value * value;
      });
    }
  }

  /** @throws RangeError with fewer than two rows */
  get tValues(): Map<string, Float64Array> {
    const n = this.#rows;
    if (n < 2) throw new RangeError(`found slopes of ${n} rows, expected at least two`);
    return new Map(
      [...this.#sums].map(([module, { values, squares }]) => {
        const t = values.map((sum, k) => {
          const variance = (squares[k]! - sum ** 2 / n) / (n - 1);
          return variance > 0 ? sum / Math.sqrt(n * variance) : 0;
        });
        return [module, t];
      }),
    );
  }
}

/** How the betas follow from the t values of the slopes. */
export type BetaRule = (tValues: ByDirection) => Map<string, Float64Array>;

/**
 * Undoes the directions in which undoing lowers the loss: beta = −1 where t ≥ 0, and 0 where t < 0. The loss is linear in beta at first
 * order, so nothing between the ends can be best.
 */
export const bySign: BetaRule = (tValues) => undoWhere(tValues, (t) => t >= 0);

/**
 * The same by the sign of what t is expected to be without noise, shrunk towards the mean of all directions. With t = θ + N(0, 1) and
 * θ from N(m, τ²), that is m + τ² / (τ² + 1) · (t − m), where m is the mean of the t values and τ² their variance less 1, or 0
 * (Efron and Morris, JASA 70, 1975). What the rows cannot tell apart follows the sum: where undoing the whole change would lower
 * the loss, a direction is kept only if its own slope says so clearly, and the other way round.
 */
export const byShrunkSign: BetaRule = (tValues) => {
  const all = [...tValues.values()].flatMap((values) => [...values]);
  const mean = all.reduce((sum, t) => sum + t, 0) / all.length;
  const variance = all.reduce((sum, t) => sum + (t - mean) ** 2, 0) / Math.max(1, all.length - 1);
  const own = Math.max(0, variance - 1);
  return undoWhere(tValues, (t) => mean + (own / (own + 1)) * (t - mean) >= 0);
};

/** A slope this many standard errors below zero is negative with a confidence of 97.7 %. */
const CLEARLY = 2;

/** Undoes the whole change but for the directions that clearly help: beta = 0 where t < −2, and −1 elsewhere. */
export const byClearSign: BetaRule = (tValues) => undoWhere(tValues, (t) => t >= -CLEARLY);

function undoWhere(tValues: ByDirection, isHarmful: (t: number) => boolean): Map<string, Float64Array> {
  return new Map([...tValues].map(([module, values]) => [module, values.map((t) => (isHarmful(t) ? -1 : 0))]));
}
