import type { SearchPoint, SearchSurrogate } from '@readapt/client';
import { decimal } from '../../../lib/format.ts';
import type { ChartProps, PlotModule } from '../../../parts/chart/chart.tsx';
import type { SearchRecord } from './search-queries.ts';

/** Points of the α-β plane that have a name: the unchanged copy and the full revert. */
const NAMED = [
  { alpha: 1, beta: 0, name: 'copy' },
  { alpha: 1, beta: -1, name: 'revert' },
] as const;

/** Colours of the contours, from hardly better than copy to the best that the model expects. */
const SHADES = [3, 4, 5, 6, 7, 8, 9].map((step) => `var(--indigo-${step})`);

/**
 * Largest number of points whose losses are printed beside them. With more they would overlap, and the table has them.
 */
const MOST_LOSSES = 30;

/** Plot of the α-β plane: contours of the model's mean, the points in order, copy, revert, and the best point. */
export function planeOf({ points, surrogate }: SearchRecord): ChartProps['plot'] {
  const best = bestOf(points);
  const levels = levelsOf(surrogate);
  const domains = domainsOf(points, surrogate);
  return (plot) => ({
    marginLeft: 52,
    marginRight: 24,
    marginBottom: 40,
    inset: 32,
    x: { label: 'α, of the old adapter', domain: domains.alpha },
    color: { type: 'threshold', domain: levels.slice(1), range: SHADES },
    y: { label: 'β, of the change of the base', domain: domains.beta, grid: surrogate.mean.length === 0 },
    marks: [
      ...groundOf(plot, surrogate, levels),
      plot.line(points, { x: 'fusion_alpha', y: 'fusion_beta', stroke: 'var(--gray-11)', strokeDasharray: '2,3' }),
      plot.dot(
        points.filter((point) => point !== best),
        {
          ...PLACE,
          r: 9,
          fill: 'var(--plot-background)',
          stroke: 'var(--gray-12)',
        },
      ),
      plot.dot([best], { ...PLACE, r: 13, symbol: 'star', fill: 'var(--amber-9)', stroke: 'var(--gray-12)' }),
      plot.text(points, { ...PLACE, text: ({ index }: SearchPoint) => `${index + 1}`, fill: textOf(best) }),
      points.length > MOST_LOSSES
        ? null
        : plot.text(points, { ...PLACE, text: ({ loss }: SearchPoint) => decimal(loss, 2), dy: 23, ...LABEL }),
      plot.dot(NAMED, { x: 'alpha', y: 'beta', r: 16, stroke: 'var(--gray-12)', strokeWidth: 1.5 }),
      plot.text(NAMED, { x: 'alpha', y: 'beta', text: 'name', dy: -25, fontWeight: 'bold', ...LABEL }),
    ],
  });
}

const PLACE = { x: 'fusion_alpha', y: 'fusion_beta' };
/** Style of texts, with an outline that keeps them readable on any contour. */
const LABEL = { fill: 'var(--gray-12)', stroke: 'var(--plot-background)', strokeWidth: 3 };

/** Colour of a point's number: black on the best point's star, which is amber in light and dark mode. */
const textOf = (best: SearchPoint) => (point: SearchPoint) => (point === best ? 'black' : 'var(--gray-12)');

function domainsOf(points: readonly SearchPoint[], { alpha, beta }: SearchSurrogate) {
  const alphas = [...points.map((point) => point.fusion_alpha), ...alpha, 0, 1];
  const betas = [...points.map((point) => point.fusion_beta), ...beta, -1, 0];
  return { alpha: [Math.min(...alphas), Math.max(...alphas)], beta: [Math.min(...betas), Math.max(...betas)] };
}

/** Contour levels: expected improvement over copy, from 0 to the best. Empty if the model expects no improvement. */
function levelsOf({ mean }: SearchSurrogate): number[] {
  const best = -Math.min(0, ...mean);
  return best === 0 ? [] : SHADES.map((_, index) => (best * index) / SHADES.length);
}

/** Contours of the model's mean where it is better than copy; the rest of the plane stays blank. */
function groundOf(plot: PlotModule, { alpha, beta, mean }: SearchSurrogate, levels: number[]) {
  if (levels.length === 0) return [];
  // The service orders the grid by α first, the library by y (β) first.
  const values = beta.flatMap((_, j) => alpha.map((__, i) => -mean[i * beta.length + j]!));
  return [
    plot.contour(values, {
      width: alpha.length,
      height: beta.length,
      x1: alpha[0]!,
      x2: alpha.at(-1)!,
      y1: beta[0]!,
      y2: beta.at(-1)!,
      thresholds: levels,
      fill: plot.identity,
    }),
  ];
}

export function bestOf(points: readonly SearchPoint[]): SearchPoint {
  return points.reduce((best, point) => (point.loss < best.loss ? point : best));
}
