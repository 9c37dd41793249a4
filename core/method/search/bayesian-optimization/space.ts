/** A point of the search space, one number a coordinate. */
export type Point = readonly number[];

/** One coordinate of the search space: a closed interval, of all its numbers or of the integers alone. */
export interface Coordinate {
  readonly low: number;
  /** `low` itself makes the coordinate a fixed one. */
  readonly high: number;
  readonly integer?: boolean;
}

/** A box of continuous, integer and fixed coordinates. */
export class Space {
  readonly coordinates: readonly Coordinate[];

  /** @throws RangeError for an interval that is empty, infinite, or without an integer where it has to have one */
  constructor(coordinates: readonly Coordinate[]) {
    for (const { low, high, integer } of coordinates) {
      const valid =
        Number.isFinite(low) && Number.isFinite(high) && low <= high && (!integer || Math.ceil(low) <= high);
      if (!valid)
        throw new RangeError(
          `bounds are [${low}, ${high}], expected ${integer ? 'integers between finite bounds' : 'finite ones, lower first'}`,
        );
    }
    this.coordinates = coordinates;
  }

  contains(point: Point): boolean {
    return this.coordinates.every(({ low, high }, i) => low <= point[i]! && point[i]! <= high);
  }

  /** In [0, 1] a coordinate; 0 for a fixed one. Numbers are not rounded. */
  toUnit(point: Point): number[] {
    return this.coordinates.map(({ low, high }, i) => (high > low ? (point[i]! - low) / (high - low) : 0));
  }

  /** Within the bounds; integers are rounded. */
  fromUnit(unit: Point): number[] {
    return this.coordinates.map(({ low, high, integer }, i) => {
      const value = Math.min(high, Math.max(low, low + unit[i]! * (high - low)));
      return integer ? Math.min(Math.floor(high), Math.max(Math.ceil(low), Math.round(value))) : value;
    });
  }

  /**
   * The nearest point that can be evaluated, in the unit box. A model that sees only such points is constant between
   * integers (Garrido-Merchán and Hernández-Lobato, Neurocomputing 380, 2020).
   */
  snap(unit: Point): number[] {
    return this.toUnit(this.fromUnit(unit));
  }
}

/** Euclidean. */
export function distance(x: Point, y: Point): number {
  return Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0));
}
