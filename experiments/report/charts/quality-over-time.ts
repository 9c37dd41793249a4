import type { TopLevelSpec } from 'vega-lite';
import { COLORS } from '../../../bench/chart.ts';
import { mean } from '../statistics.ts';
import type { Job } from '../summary.ts';
import { secondsAxis, strategyColors } from './colors.ts';

interface Point {
  readonly strategy: string;
  /** Task, evolution, adapter recipe, number of rows and metric. */
  readonly panel: string;
  readonly seconds: number;
  /** Metric of the best candidate so far on the gate rows, mean over seeds. */
  readonly value: number;
}

const SHORT = { accuracy: 'accuracy', exact_match: 'exact match', loss: 'loss' } as const;

/** Draws the best value on the gate rows so far against wall time, in a panel for each task, evolution, recipe and size. */
export function qualityChart(
  jobs: readonly Job[],
  { strategies, baselines }: { readonly strategies: readonly string[]; readonly baselines: readonly string[] },
): TopLevelSpec {
  const values = qualityPoints(jobs);
  const targets = [...new Set(values.map(({ panel }) => panel))].flatMap((panel) => {
    const known = jobs.filter((job) => panelOf(job) === panel).flatMap(({ cell }) => cell.target ?? []);
    return known.length === 0 ? [] : [{ panel, value: mean(known) }];
  });
  const y = {
    field: 'value',
    type: 'quantitative' as const,
    title: 'best on the gate rows so far',
    scale: { zero: false },
  };
  return {
    data: { values: [...values, ...targets] },
    facet: { field: 'panel', type: 'nominal', title: null, sort: null },
    columns: 2,
    spec: {
      width: 320,
      height: 200,
      encoding: { y },
      layer: [
        {
          transform: [{ filter: '!isValid(datum.strategy)' }],
          mark: { type: 'rule', strokeDash: [5, 3], color: COLORS.goal },
        },
        {
          transform: [{ filter: 'isValid(datum.strategy)' }],
          mark: { type: 'line', interpolate: 'step-after', point: { size: 14 }, strokeWidth: 2 },
          encoding: { x: secondsAxis('wall time of the job, s'), color: strategyColors(strategies, baselines) },
        },
      ],
    },
    resolve: { scale: { y: 'independent' } },
  };
}

/**
 * Computes the curves. The mean begins when all seeds have a candidate and changes whenever one of them has a better one; a
 * job that has ended keeps its last value.
 */
export function qualityPoints(jobs: readonly Job[]): Point[] {
  const curves = new Map<string, Job[]>();
  for (const job of jobs.filter(({ cell }) => cell.candidates.length > 0)) {
    const name = `${panelOf(job)}|${job.cell.strategy}`;
    curves.set(name, [...(curves.get(name) ?? []), job]);
  }
  return [...curves.values()].flatMap((members) => {
    const paths = members.map(bestSoFar);
    const start = Math.max(...paths.map((path) => path[0]!.at));
    const times = [...new Set(paths.flat().map(({ at }) => at))].filter((at) => at >= start).sort((a, b) => a - b);
    const valueAt = (at: number): number => mean(paths.map((path) => path.findLast((one) => one.at <= at)!.value));
    return times.map((at) => ({
      strategy: members[0]!.cell.strategy,
      panel: panelOf(members[0]!),
      seconds: at / 1000,
      value: valueAt(at),
    }));
  });
}

function bestSoFar({ cell }: Job): { readonly at: number; readonly value: number }[] {
  const better = cell.best?.metric === 'loss' ? Math.min : Math.max;
  let best: number | null = null;
  return cell.candidates.map(({ at, value }) => {
    best = best === null ? value : better(best, value);
    return { at, value: best };
  });
}

function panelOf({ cell }: Job): string {
  const metric = cell.best ? `, ${SHORT[cell.best.metric]}` : '';
  return `${cell.task}, ${cell.evolution}, ${cell.adapter}, ${cell.rows} rows${metric}`;
}
