import { writtenName } from '../../plan/tenant-spec.ts';
import type { CellRecord } from '../../records.ts';
import { compareTogether } from '../comparisons/compare.ts';
import type { RatioInterval } from '../comparisons/ratio-interval.ts';
import { withEvolution, withOldVersion, withoutLooks, type Evidence } from './evidence.ts';
import { ratioFinding, together, type Bound, type Judgement } from './judgement.ts';
import { ALONE, AUTO, FLEET, PAPER, SCRATCH } from './names.ts';

export function soonerThanPaper(evidence: Evidence): Judgement {
  const bound: Bound = { end: 'lower', value: 2 };
  const { findings, notes } = timed(evidence.cells, { strategy: AUTO, other: PAPER }, bound);
  const shared = [AUTO, PAPER].reduce(
    (cells, strategy) => withEvolution({ ...evidence, cells }, { strategy, adapters: FLEET }),
    evidence.cells,
  );
  const { time } = compareTogether(shared, AUTO, PAPER);
  const label = 'with a twentieth of the evolution on both sides';
  return together({
    id: 'H2',
    claim: '… and ready at least twice as soon',
    condition: 'lower end at least 2',
    findings: [...findings, ratioFinding(time, { label, bound, decides: false })],
    notes,
  });
}

/** Judges H3. @param evidence jobs with all rows. Their tenants stand for the whole fleet */
export function soonerInFleet(evidence: Evidence): Judgement {
  const { findings, notes } = timed(
    withEvolution(evidence, { strategy: AUTO, adapters: FLEET }),
    { strategy: AUTO, other: SCRATCH },
    { end: 'lower', value: 8.9 },
  );
  const tenants = new Set(evidence.cells.map(writtenName)).size;
  return together({
    id: 'H3',
    claim:
      `\`auto\` is ready ≥ 8.9 times sooner than \`scratch\` in a fleet of ${FLEET} ` +
      "that share the evolution's computation",
    condition: 'lower end at least 8.9',
    findings,
    notes: [
      ...notes,
      `judged on ${tenants} tenants, each of whose jobs bears a twentieth of the evolution's computation`,
    ],
  });
}

export function soonerAlone(evidence: Evidence): Judgement {
  return together({
    id: 'H4',
    claim: "… and ≥ 4 times for a single adapter, with the evolution's computation in its time",
    condition: 'lower end at least 4',
    ...timed(
      withEvolution(evidence, { strategy: ALONE, adapters: 1 }),
      { strategy: ALONE, other: SCRATCH },
      { end: 'lower', value: 4 },
    ),
  });
}

interface Pair {
  readonly strategy: string;
  readonly other: string;
}

/**
 * Compares times. Those with all looks decide. Beside them stand times without looks, and with the old version
 * measured.
 */
function timed(cells: readonly CellRecord[], pair: Pair, bound: Bound): Pick<Judgement, 'findings' | 'notes'> {
  const { time } = compareTogether(cells, pair.strategy, pair.other);
  const beside = [
    { label: 'without looks', others: withoutLooks(cells) },
    ...(cells.some(({ oldMs }) => oldMs)
      ? [{ label: 'with the old version measured', others: withOldVersion(cells) }]
      : []),
  ].map(({ label, others }) => {
    return ratioFinding(compareTogether(others, pair.strategy, pair.other).time, { label, bound, decides: false });
  });
  return {
    findings: [ratioFinding(time, { bound }), ...beside],
    notes: time === null ? [] : [readyText(time.ready, pair)],
  };
}

function readyText({ both, strategy, baseline, neither }: RatioInterval['ready'], pair: Pair): string {
  const alone = `with \`${pair.strategy}\` alone ${strategy}, with \`${pair.other}\` alone ${baseline}`;
  return `pairs ready with both ${both}, ${alone}, with neither ${neither}`;
}
