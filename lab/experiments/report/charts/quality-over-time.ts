import type { TopLevelSpec } from 'vega-lite';
import { metricTitle } from '../../../../core/options/metrics.ts';
import { COLORS } from '../../../bench/chart.ts';
import { mean } from '../statistics.ts';
import type { JudgedCandidate } from '../../records.ts';
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

/**
 * Draws the best value on the gate rows so far over wall time, in a panel for each task, evolution, recipe and size.
 */
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
 * Computes the curves. The mean begins when all seeds have a candidate and changes whenever one of them finds a better
 * one. A job that has ended keeps its last value.
 */
export function qualityPoints(jobs: readonly Job[]): Point[] {
  const curves = new Map<string, Pick<Point, 'strategy' | 'panel'> & { readonly paths: Improvement[][] }>();
  for (const job of jobs.filter((job) => measuredWhole(job).length > 0)) {
    const [strategy, panel] = [job.cell.strategy, panelOf(job)];
    const curve = curves.get(`${panel}|${strategy}`) ?? { strategy, panel, paths: [] };
    curve.paths.push(bestSoFar(job));
    curves.set(`${panel}|${strategy}`, curve);
  }
  return [...curves.values()].flatMap(({ strategy, panel, paths }) => {
    const valuesAt = (time: number): number[] =>
      paths.flatMap((path) => path.findLast(({ at }) => at <= time)?.value ?? []);
    const times = [...new Set(paths.flat().map(({ at }) => at))].sort((a, b) => a - b);
    return times
      .map((at) => ({ at, values: valuesAt(at) }))
      .filter(({ values }) => values.length === paths.length)
      .map(({ at, values }) => ({ strategy, panel, seconds: at / 1000, value: mean(values) }));
  });
}

interface Improvement {
  /** Milliseconds from the start of the job. */
  readonly at: number;
  readonly value: number;
}

/** Lists the candidates with a known value. A curtailed look gives only a bound. */
function measuredWhole({ cell }: Job): readonly JudgedCandidate[] {
  return cell.candidates.filter(({ curtailed }) => !curtailed);
}

function bestSoFar(job: Job): Improvement[] {
  const { cell } = job;
  const better = cell.best?.metric.name === 'loss' ? Math.min : Math.max;
  let best: number | null = null;
  return measuredWhole(job).map(({ at, value }) => {
    best = best === null ? value : better(best, value);
    return { at, value: best };
  });
}

function panelOf({ cell }: Job): string {
  const metric = cell.best ? `, ${metricTitle(cell.best.metric.name)}` : '';
  return `${cell.task}, ${cell.evolution}, ${cell.adapter}, ${cell.rows} rows${metric}`;
}
