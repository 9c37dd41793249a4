import { compareQuality, type Comparison } from '../comparisons/compare.ts';
import { pointsBetter, timesSooner } from '../comparisons/written-intervals.ts';
import { marked, share, table } from '../format.ts';
import type { Evidence } from '../hypotheses/evidence.ts';
import { negativeFlips, spread, type Spread } from '../statistics.ts';
import { strategyTimes, timeText, type StrategyTimes } from './times.ts';

/** Results of a strategy beside the baselines, on the same jobs. */
export interface ResultLine {
  /** Name of the evolution, or null for all jobs. */
  readonly evolution: string | null;
  /** Number of training rows, or null for all jobs. */
  readonly rows: number | null;
  readonly strategy: string;
  readonly times: StrategyTimes;
  readonly comparisons: readonly Comparison[];
  /** Negative flips of the final versions. */
  readonly flips: Spread | null;
  /** Negative flips of the copies of the same jobs. */
  readonly copyFlips: Spread | null;
}

/** Computes a line for each strategy: over all jobs, then by evolution and number of rows. */
export function resultLines(evidence: Evidence, baselines: readonly string[]): ResultLine[] {
  const { evolutions, rows } = evidence.experiment;
  const sizes = rows.toSorted((a, b) => a - b);
  const places = evolutions.flatMap(({ name }) => sizes.map((size) => ({ evolution: name, rows: size })));
  return [{ evolution: null, rows: null }, ...places].flatMap((place) => linesOf(evidence, baselines, place));
}

function linesOf(
  { experiment, cells, old, copy }: Evidence,
  baselines: readonly string[],
  place: Pick<ResultLine, 'evolution' | 'rows'>,
): ResultLine[] {
  const here = cells.filter(
    ({ evolution, rows }) => (place.evolution ?? evolution) === evolution && (place.rows ?? rows) === rows,
  );
  const strategies = experiment.strategies.map(({ name }) => name);
  return strategyTimes(here, { strategies, baselines }).map((times): ResultLine => {
    const flips = here
      .filter(({ strategy }) => strategy === times.strategy)
      .flatMap((cell) => {
        const before = old(cell)?.right ?? null;
        const own = negativeFlips(before, cell.final?.right ?? null);
        return own === null ? [] : [{ own, copied: negativeFlips(before, copy(cell)?.right ?? null) }];
      });
    return {
      ...place,
      strategy: times.strategy,
      times,
      comparisons: times.against.map(({ other, time }) => ({ ...compareQuality(here, times.strategy, other), time })),
      flips: spread(flips.map(({ own }) => own)),
      copyFlips: spread(flips.flatMap(({ copied }) => copied ?? [])),
    };
  });
}

/** Writes the tables of results between marks, for docs/experiments.md and lab/docs/registered-run.md. */
export function resultsSection(
  lines: readonly ResultLine[],
  { experiment, baselines }: { readonly experiment: string; readonly baselines: readonly string[] },
): string[] {
  const header = ['strategy', 'ready', 'half ready after, s', ...baselines.flatMap(headings), 'flips, % (copy)'];
  const of = (isOverall: boolean) => lines.filter(({ evolution }) => (evolution === null) === isOverall);
  return [
    '## Results',
    '',
    ...marked(
      { of: experiment, name: 'results' },
      table(
        header,
        of(true).map((line) => toRow(line, baselines)),
      ),
    ),
    '',
    ...marked(
      { of: experiment, name: 'results by size' },
      table(
        ['evolution', 'rows', ...header],
        of(false).map((line) => [line.evolution!, String(line.rows), ...toRow(line, baselines)]),
      ),
    ),
    '',
  ];
}

function headings(baseline: string): string[] {
  return [`times sooner than \`${baseline}\` (95 %)`, `points against \`${baseline}\` (95 %)`];
}

function toRow({ strategy, times, comparisons, flips, copyFlips }: ResultLine, baselines: readonly string[]): string[] {
  const cells = baselines.flatMap((name) => {
    const found = comparisons.find(({ other, pairs }) => other === name && pairs > 0);
    return found ? [timesSooner(found.time), pointsBetter(found.quality)] : ['', ''];
  });
  return [
    `\`${strategy}\``,
    `${times.ready} of ${times.jobs}`,
    timeText(times.median),
    ...cells,
    flips === null ? share(flips) : `${share(flips)} (${share(copyFlips)})`,
  ];
}
