import { DEFAULT_JOB_OPTIONS } from '../../../../core/options/job-settings.ts';
import type { CellRecord } from '../../records.ts';
import { compareTogether, groupBy } from '../comparisons/compare.ts';
import { pointsBetter, timesSooner } from '../comparisons/written-intervals.ts';
import { marked, table } from '../format.ts';
import type { Evidence } from '../hypotheses/evidence.ts';
import { ALONE, AUTO } from '../hypotheses/names.ts';
import { durationOf } from '../readiness.ts';

/** Part of `auto`, with its effect in the experiment and whether it stays by the rule of lab/docs/protocol.md. */
export interface Part {
  readonly part: string;
  readonly measured: string;
  readonly condition: string;
  /** Whether the part stays. Null if no job has used it. */
  readonly stays: boolean | null;
}

/** Smallest share of published versions that must come from a search. */
const LEAST_PUBLISHED = 0.05;
/** Smallest share of all jobs' time that races had to save. */
const LEAST_SAVED = 0.05;
/** Largest loss of quality that the fleet's searches may cost, as a share of rows. */
const MARGIN = 0.01;

export function partsOf({ cells }: Pick<Evidence, 'cells'>): Part[] {
  const own = cells.filter(({ strategy }) => strategy === AUTO);
  return [searchOf(own), racesOf(own), fleetOf(cells)];
}

function searchOf(cells: readonly CellRecord[]): Part {
  const published = cells.filter(({ state }) => state === 'ready');
  const found = published.filter(isFromSearch).length;
  return {
    part: 'search for α and β',
    measured: `${found} of ${published.length} published versions are its points, or were fine-tuned from one`,
    condition: `at least ${percent(LEAST_PUBLISHED)}`,
    stays: published.length === 0 ? null : found / published.length >= LEAST_PUBLISHED,
  };
}

/** Whether a job has published the point that its search found, or fine-tuned from it. */
function isFromSearch({ ladder = [], best = null }: CellRecord): boolean {
  const searched = ladder.find(({ rung }) => rung === 'search')?.candidate ?? null;
  return best !== null && searched !== null && best.alpha === searched.alpha && best.beta === searched.beta;
}

/** Judges races, which dropped points after a part of the search rows. They were deleted after the experiment. */
function racesOf(cells: readonly CellRecord[]): Part {
  const searched = cells.filter(({ search }) => search.length > 0);
  const saved = sum(searched.map(savedMs)) / sum(cells.map((cell) => durationOf(cell).ms));
  return {
    part: 'races between points',
    measured: `${percent(saved)} of the jobs’ time saved by ${searched.length} searches`,
    condition: `at least ${percent(LEAST_SAVED)}`,
    stays: searched.length === 0 ? null : saved >= LEAST_SAVED,
  };
}

/**
 * Estimates the time of the rows that races left out, in milliseconds, by the search's mean time of a measured row.
 * That includes fusion, which more rows would not repeat, so the estimate is rather too large.
 */
function savedMs({ search }: CellRecord): number {
  const points = groupBy(search, ({ alpha, beta }) => `${alpha} ${beta}`);
  const measured = sum(points.map((some) => Math.max(...some.map(({ rows }) => rows))));
  const left = points.length * DEFAULT_JOB_OPTIONS.search_rows - measured;
  return (left * sum(search.map(({ ms }) => ms))) / measured;
}

function fleetOf(cells: readonly CellRecord[]): Part {
  const { quality, time } = compareTogether(cells, AUTO, ALONE);
  const isKnown = time !== null && quality?.interval;
  return {
    part: 'what other tenants’ searches found',
    measured: `times sooner than \`${ALONE}\` ${timesSooner(time)}, points ${pointsBetter(quality)}`,
    condition: 'lower ends above 1 and above −1.0 points',
    stays: isKnown ? time.interval[0].value > 1 && quality.interval[0] > -MARGIN : null,
  };
}

export function partsSection(parts: readonly Part[], experiment: string): string[] {
  const rows = parts.map(({ part, measured, condition, stays }) => [
    part,
    measured,
    condition,
    stays === null ? 'cannot be said' : stays ? '**stays**' : '**goes**',
  ]);
  return [
    '## Parts of `auto`',
    '',
    ...marked({ of: experiment, name: 'parts' }, table(['part', 'measured', 'stays if', 'so it'], rows, 'left')),
    '',
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
