import type { TopLevelSpec } from 'vega-lite';
import type { Job } from '../summary.ts';
import { readinessCurve } from '../readiness.ts';
import { secondsAxis, strategyColors } from './colors.ts';

interface Point {
  readonly strategy: string;
  readonly evolution: string;
  readonly seconds: number;
  readonly ready: number;
  readonly gaveUp: number;
}

/** Draws the share of jobs that are ready by each time, with a tick where a job spent its budget in vain. */
export function readinessChart(
  jobs: readonly Job[],
  { strategies, baselines }: { readonly strategies: readonly string[]; readonly baselines: readonly string[] },
): TopLevelSpec {
  const values = readinessPoints(jobs, strategies);
  const color = strategyColors(strategies, baselines);
  const y = {
    field: 'ready',
    type: 'quantitative' as const,
    title: 'share of jobs ready',
    scale: { domain: [0, 1] },
    axis: { format: '%', tickCount: 5 },
  };
  return {
    data: { values },
    facet: { column: { field: 'evolution', type: 'nominal', title: null, sort: null } },
    spec: {
      width: 340,
      height: 240,
      encoding: { x: secondsAxis('time to readiness, s'), y, color },
      layer: [
        { mark: { type: 'line', interpolate: 'step-after', strokeWidth: 2 } },
        {
          transform: [{ filter: 'datum.gaveUp > 0' }],
          mark: { type: 'tick', orient: 'vertical', thickness: 2, height: 12 },
        },
      ],
    },
  };
}

/** Computes the curves. They begin at half the shortest time, since a logarithmic axis has no 0. */
function readinessPoints(jobs: readonly Job[], strategies: readonly string[]): Point[] {
  const evolutions = [...new Set(jobs.map(({ cell }) => cell.evolution))];
  const begin = Math.min(...jobs.map(({ ttr }) => ttr.ms)) / 2;
  return evolutions.flatMap((evolution) =>
    strategies.flatMap((strategy) => {
      const own = jobs
        .filter(({ cell }) => cell.evolution === evolution && cell.strategy === strategy)
        .map(({ ttr }) => ttr);
      if (own.length === 0) return [];
      return readinessCurve(own).map(({ ms, share: ready, gaveUp }) => ({
        strategy,
        evolution,
        seconds: (ms || begin) / 1000,
        ready,
        gaveUp,
      }));
    }),
  );
}
