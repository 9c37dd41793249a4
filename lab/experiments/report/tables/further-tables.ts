import type { Experiment } from '../../config/load-experiment.ts';
import type { Comparison } from '../comparisons/compare.ts';
import type { Evidence } from '../hypotheses/evidence.ts';
import { judgeTellingTasks } from '../hypotheses/telling-tasks.ts';
import { hypothesesSection } from '../hypotheses/hypotheses-section.ts';
import type { Judgement } from '../hypotheses/judgement.ts';
import { AUTO } from '../hypotheses/names.ts';
import { differencesFromOthers, type PlacedDifference } from './differences.ts';
import { partsOf, partsSection, type Part } from './parts.ts';
import { powerLines, powerSection, type PowerLine } from './power.ts';
import { resultLines, resultsSection, type ResultLine } from './results.ts';
import { sweptSizes, winnerSection, type SweptSize } from './winner.ts';

/** Tables that the experiment's setting `report` turns on. Others are null. */
export interface FurtherTables {
  readonly registered: {
    readonly results: readonly ResultLine[];
    readonly judgements: readonly Judgement[];
    readonly differences: readonly PlacedDifference[];
    readonly parts: readonly Part[];
  } | null;
  readonly sweep: readonly SweptSize[] | null;
  readonly power: readonly PowerLine[] | null;
}

interface Known {
  readonly baselines: readonly string[];
  readonly comparisons: readonly Comparison[];
}

export function furtherTables(evidence: Evidence, { baselines, comparisons }: Known): FurtherTables {
  const { hypotheses = false, winner = false, power } = evidence.experiment.report ?? {};
  return {
    registered: hypotheses
      ? {
          results: resultLines(evidence, baselines),
          judgements: judgeTellingTasks(evidence),
          differences: differencesFromOthers(evidence, AUTO),
          parts: partsOf(evidence),
        }
      : null,
    sweep: winner ? sweptSizes(evidence) : null,
    power: power ? powerLines(comparisons, power) : null,
  };
}

export function furtherSections(
  { name, report }: Experiment,
  { registered, sweep, power }: FurtherTables,
  baselines: readonly string[],
): string[] {
  return [
    ...(registered ? resultsSection(registered.results, { experiment: name, baselines }) : []),
    ...(registered ? hypothesesSection(registered.judgements, name) : []),
    ...(registered ? partsSection(registered.parts, name) : []),
    ...(sweep ? winnerSection(sweep, name) : []),
    ...(power && report?.power ? powerSection(power, report.power) : []),
  ];
}
