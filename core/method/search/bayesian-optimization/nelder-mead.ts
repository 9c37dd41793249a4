interface NelderMeadOptions {
  /** Lower and upper bound of each coordinate. A trial point outside is moved to the bound. */
  readonly bounds: readonly (readonly [number, number])[];
  /** Edge of the first simplex, as a share of the width of each coordinate's bounds. Default 0.1. */
  readonly step?: number;
  /** Number of iterations after which the search ends in any case. Default: 60 for each coordinate. */
  readonly maxIterations?: number;
  /**
   * Difference between the largest and the smallest value at the simplex's vertices below which the search ends.
   * Default 1e-9.
   */
  readonly tolerance?: number;
}

interface Vertex {
  readonly point: readonly number[];
  readonly value: number;
}

/** Minimizes a function inside a box by the simplex method of Nelder and Mead (1965), from one starting point. */
export function nelderMead(
  f: (x: readonly number[]) => number,
  start: readonly number[],
  options: NelderMeadOptions,
): Vertex {
  const { bounds, step = 0.1, maxIterations = 60 * start.length, tolerance = 1e-9 } = options;
  const evaluate = (point: readonly number[]): Vertex => {
    const clamped = bounds.map(([low, high], i) => Math.min(high, Math.max(low, point[i]!)));
    return { point: clamped, value: f(clamped) };
  };
  const simplex = firstSimplex(start, bounds, step).map(evaluate);
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    simplex.sort((a, b) => a.value - b.value);
    if (simplex.at(-1)!.value - simplex[0]!.value < tolerance) break;
    improve(simplex, evaluate);
  }
  return simplex.reduce((best, vertex) => (vertex.value < best.value ? vertex : best));
}

/**
 * Replaces the worst vertex of a simplex by a better point. If none is found, shrinks the simplex towards its best
 * vertex. The vertices must be sorted by value.
 */
function improve(simplex: Vertex[], evaluate: (point: readonly number[]) => Vertex): void {
  const [best, secondWorst, worst] = [simplex[0]!, simplex.at(-2)!, simplex.at(-1)!];
  const center = centroid(simplex.slice(0, -1));
  const along = (t: number) => evaluate(center.map((c, i) => c + t * (worst.point[i]! - c)));
  const reflected = along(-1);
  let replacement = reflected;
  if (reflected.value < best.value) {
    const expanded = along(-2);
    if (expanded.value < reflected.value) replacement = expanded;
  } else if (reflected.value >= secondWorst.value) {
    replacement = along(reflected.value < worst.value ? -0.5 : 0.5);
  }
  if (replacement.value < worst.value) simplex[simplex.length - 1] = replacement;
  else {
    const others = simplex.slice(1).map(({ point }) => evaluate(point.map((x, i) => (x + best.point[i]!) / 2)));
    simplex.splice(1, others.length, ...others);
  }
}

function centroid(vertices: readonly Vertex[]): number[] {
  const [first, ...others] = vertices.map(({ point }) => point);
  return (first ?? []).map((x, i) => others.reduce((sum, point) => sum + point[i]!, x) / vertices.length);
}

/**
 * Returns the vertices of the first simplex: the start and, for each coordinate, a point one step away from it towards
 * the farther bound.
 */
function firstSimplex(start: readonly number[], bounds: NelderMeadOptions['bounds'], step: number): number[][] {
  const stepped = bounds.map(([low, high], i) => {
    const x = start[i]!;
    const direction = high - x >= x - low ? 1 : -1;
    return start.with(i, x + direction * step * (high - low));
  });
  return [[...start], ...stepped];
}
