import type { CellRecord } from '../../records.ts';
import { compareTogether } from '../comparisons/compare.ts';
import { withCopies, type Evidence } from './evidence.ts';
import { differenceFinding, together, type Bound, type Finding, type Judgement } from './judgement.ts';
import { AUTO, PAPER, SCRATCH, SMALL_SIZES } from './names.ts';

/**
 * Largest share of pairs without a candidate. Above it, the copy is also tried in their place, and the worse result
 * counts.
 */
const MOST_WITHOUT_CANDIDATE = 0.05;
const ONE_POINT: Bound = { end: 'lower', value: -0.01, strict: true };

export function notWorseThanPaper(evidence: Evidence): Judgement {
  return together({
    id: 'H1',
    claim: '`auto` is not worse than the published method at its best by more than one point',
    condition: 'lower end above −1.0 points',
    ...compared(evidence, { other: PAPER, bound: ONE_POINT }),
  });
}

export function betterWithFewRows(evidence: Evidence): Judgement {
  const bound: Bound = { end: 'lower', value: 0.026 };
  const sizes = SMALL_SIZES.map((rows) => compared(evidence, { other: SCRATCH, bound, rows, label: `${rows} rows` }));
  return together({
    id: 'H5',
    claim: 'with 64 and with 256 rows, `auto` ends at least 2.6 points above `scratch`',
    condition: 'lower end at least +2.6 points for each of the two',
    findings: sizes.flatMap(({ findings }) => findings),
    notes: sizes.flatMap(({ notes }) => notes),
  });
}

export function notWorseWithAllRows(evidence: Evidence): Judgement {
  const rows = Math.max(...evidence.experiment.rows);
  return together({
    id: 'H6',
    claim: 'with all rows, `auto` is not worse than `scratch`',
    condition: 'lower end above −1.0 points',
    ...compared(evidence, { other: SCRATCH, bound: ONE_POINT, rows }),
  });
}

interface Asked {
  readonly other: string;
  readonly bound: Bound;
  /** Number of training rows. Default: all together. */
  readonly rows?: number;
  readonly label?: string;
}

function compared(
  evidence: Evidence,
  { other, bound, rows, label = '' }: Asked,
): Pick<Judgement, 'findings' | 'notes'> {
  const compare = (cells: readonly CellRecord[]) =>
    compareTogether(rows === undefined ? cells : cells.filter((cell) => cell.rows === rows), AUTO, other);
  const { quality, pairs, withoutCandidate } = compare(evidence.cells);
  const findings: Finding[] = [differenceFinding(quality, { label, bound })];
  if (withoutCandidate > MOST_WITHOUT_CANDIDATE * pairs)
    findings.push(
      differenceFinding(compare(withCopies(evidence)).quality, {
        label: [label, 'the copy where there is no candidate'].filter(Boolean).join(', '),
        bound,
      }),
    );
  const before = label === '' ? '' : `${label}: `;
  return { findings, notes: [`${before}${pairs} pairs, ${withoutCandidate} of them without a candidate`] };
}
