/** A point of the search space, one number for each coordinate. */
export type Point = readonly number[];

type Interval = readonly [low: number, high: number];

/** Box-shaped search space. */
export class Space {
  readonly bounds: readonly Interval[];

  /** @throws RangeError for bounds that are not finite or in the wrong order */
  constructor(bounds: readonly Interval[]) {
    for (const [low, high] of bounds) {
      if (Number.isFinite(low) && Number.isFinite(high) && low < high) continue;
      throw new RangeError(`bounds are [${low}, ${high}], expected finite numbers, the lower one first`);
    }
    this.bounds = bounds;
  }

  contains(point: Point): boolean {
    return this.bounds.every(([low, high], i) => low <= point[i]! && point[i]! <= high);
  }

  /** Scales each coordinate to [0, 1]. */
  toUnit(point: Point): number[] {
    return this.bounds.map(([low, high], i) => (point[i]! - low) / (high - low));
  }

  /** The inverse of {@link toUnit}, clamped to the bounds. */
  fromUnit(unit: Point): number[] {
    return this.bounds.map(([low, high], i) => Math.min(high, Math.max(low, low + unit[i]! * (high - low))));
  }

  /** Nearest point of the unit box that maps to a point of the space. */
  snap(unit: Point): number[] {
    return this.toUnit(this.fromUnit(unit));
  }
}

/** Euclidean distance. */
export function distance(x: Point, y: Point): number {
  return Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0));
}
