export interface NelderMeadOptions {
  /** Closed bounds of every coordinate; trial points are clamped to them. */
  readonly bounds: readonly (readonly [number, number])[];
  /** Edge of the first simplex, as a share of each bound's width. Default 0.1. */
  readonly step?: number;
  readonly maxIterations?: number;
  /** Stops when the simplex's values differ by less. Default 1e-9. */
  readonly tolerance?: number;
}

export interface Minimum {
  readonly point: readonly number[];
  readonly value: number;
}

/** Minimizes a function inside a box by the simplex method of Nelder and Mead (1965), from one starting point. */
export function nelderMead(
  f: (x: readonly number[]) => number,
  start: readonly number[],
  options: NelderMeadOptions,
): Minimum {
  const { bounds, step = 0.1, maxIterations = 60 * start.length, tolerance = 1e-9 } = options;
  const evaluate = (point: readonly number[]): Minimum => {
    const clamped = point.map((x, i) => Math.min(bounds[i]![1], Math.max(bounds[i]![0], x)));
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

/** Replaces the worst vertex of a sorted simplex, or shrinks towards the best. */
function improve(simplex: Minimum[], evaluate: (point: readonly number[]) => Minimum): void {
  const worst = simplex.at(-1)!;
  const center = centroid(simplex.slice(0, -1));
  const along = (t: number) => evaluate(center.map((c, i) => c + t * (worst.point[i]! - c)));
  const reflected = along(-1);
  let replacement = reflected;
  if (reflected.value < simplex[0]!.value) {
    const expanded = along(-2);
    if (expanded.value < reflected.value) replacement = expanded;
  } else if (reflected.value >= simplex.at(-2)!.value) {
    replacement = along(reflected.value < worst.value ? -0.5 : 0.5);
  }
  if (replacement.value < worst.value) simplex[simplex.length - 1] = replacement;
  else shrink(simplex, evaluate);
}

function shrink(simplex: Minimum[], evaluate: (point: readonly number[]) => Minimum): void {
  const best = simplex[0]!.point;
  for (let k = 1; k < simplex.length; k++) {
    simplex[k] = evaluate(simplex[k]!.point.map((x, i) => (x + best[i]!) / 2));
  }
}

function centroid(vertices: readonly Minimum[]): number[] {
  return vertices[0]!.point.map((_, i) => vertices.reduce((sum, { point }) => sum + point[i]!, 0) / vertices.length);
}

/** The start and, a coordinate each, a step from it towards the farther bound. */
function firstSimplex(start: readonly number[], bounds: NelderMeadOptions['bounds'], step: number): number[][] {
  const stepped = start.map((x, i) => {
    const [low, high] = bounds[i]!;
    const direction = high - x >= x - low ? 1 : -1;
    return start.map((other, j) => (i === j ? x + direction * step * (high - low) : other));
  });
  return [[...start], ...stepped];
}
