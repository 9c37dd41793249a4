import type { TopLevelSpec } from 'vega-lite';
import { COLORS } from '../../../bench/chart.ts';
import type { SurfaceRecord } from '../../records.ts';
import type { Job } from '../summary.ts';

/** Draws the loss over α and β, with the points of a search in their order. */
export function surfaceChart(
  { points, task, evolution, strategy }: SurfaceRecord,
  path: readonly { readonly alpha: number; readonly beta: number }[],
): TopLevelSpec {
  const half = (axis: 'alpha' | 'beta'): number => gridStep(points.map((point) => point[axis])) / 2;
  const [alpha, beta] = [half('alpha'), half('beta')];
  const cells = points.map((point) => ({
    ...point,
    alphaFrom: point.alpha - alpha,
    alphaTo: point.alpha + alpha,
    betaFrom: point.beta - beta,
    betaTo: point.beta + beta,
  }));
  const axis = (field: string, title: string) => ({
    field,
    type: 'quantitative' as const,
    title,
    scale: { zero: false, nice: false },
  });
  const order = { field: 'number', type: 'quantitative' as const };
  const at = { x: axis('beta', 'β'), y: axis('alpha', 'α') };
  return {
    title: {
      text: `Loss on the search rows: ${task}, ${evolution}`,
      subtitle: `Points of ${strategy}'s search in their order; (α 1, β 0) is the copy, (1, −1) revert.`,
    },
    width: 460,
    height: 340,
    layer: [
      {
        data: { values: cells },
        mark: { type: 'rect' },
        encoding: {
          x: axis('betaFrom', 'β'),
          x2: { field: 'betaTo' },
          y: axis('alphaFrom', 'α'),
          y2: { field: 'alphaTo' },
          color: {
            field: 'loss',
            type: 'quantitative',
            title: 'nats a token',
            scale: { scheme: 'viridis', reverse: true, type: 'log' },
          },
        },
      },
      {
        data: { values: path.map((point, i) => ({ ...point, number: i + 1 })) },
        encoding: at,
        layer: [
          { mark: { type: 'line', color: COLORS.background, strokeWidth: 1.5 }, encoding: { order } },
          {
            mark: {
              type: 'point',
              filled: true,
              size: 160,
              color: COLORS.background,
              opacity: 1,
              stroke: COLORS.ink,
            },
          },
          { mark: { type: 'text', fontSize: 9, color: COLORS.ink }, encoding: { text: order } },
        ],
      },
    ],
  };
}

/** Lists the points that the search of the surface's tenant evaluated, each once. Empty if the job has not been run. */
export function searchPath({ task, adapter, seed, evolution, strategy }: SurfaceRecord, jobs: readonly Job[]) {
  const own = jobs.find(({ cell }) => {
    const same = cell.task === task && cell.adapter === adapter && cell.seed === seed && cell.evolution === evolution;
    return same && cell.strategy === strategy && cell.search.length > 0;
  });
  return [...new Map((own?.cell.search ?? []).map((point) => [`${point.alpha} ${point.beta}`, point])).values()];
}

function gridStep(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / (new Set(values).size - 1);
}
