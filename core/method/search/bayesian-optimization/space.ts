/** A point of the search space, one number for each coordinate. */
export type Point = readonly number[];

type Interval = readonly [low: number, high: number];

/** Search space in the form of a box: each coordinate has a lower and an upper bound. */
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

  /** Maps a point of the space to the unit box: each coordinate's bounds become 0 and 1. */
  toUnit(point: Point): number[] {
    return this.bounds.map(([low, high], i) => (point[i]! - low) / (high - low));
  }

  /**
   * Maps a point of the unit box to the space, as the inverse of {@link toUnit}. Results outside the bounds are moved
   * to them.
   */
  fromUnit(unit: Point): number[] {
    return this.bounds.map(([low, high], i) => Math.min(high, Math.max(low, low + unit[i]! * (high - low))));
  }

  /** Maps a point of the unit box to the space and back. A point outside the unit box thereby moves to its edge. */
  snap(unit: Point): number[] {
    return this.toUnit(this.fromUnit(unit));
  }
}

/** Euclidean distance of two points. */
export function distance(x: Point, y: Point): number {
  return Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0));
}
