import { count, decimal, duration, percent, UNKNOWN } from '../../../lib/format.ts';
import { PlainTable } from '../../../parts/table/plain-table.tsx';
import { StateBadge } from '../../../parts/values/state-badge.tsx';
import type { Candidate } from '../job-record.ts';
import { metricValue } from '../../../lib/metric-words.ts';
import { candidateName } from './rung-words.ts';

const COLUMNS = [
  'Candidate',
  'Verdict',
  'Value',
  'Bound',
  'Needed',
  'Negative flips',
  'Rows',
  'α, β',
  'Search loss',
  'After',
];

/** Table of the candidates that the gate has judged, with the figures behind each verdict. */
export function Candidates({ candidates, leftOut }: { candidates: readonly Candidate[]; leftOut: number }) {
  if (candidates.length === 0) return null;
  return (
    <details className="figures-of-chart">
      <summary>All judged candidates ({count(candidates.length + leftOut)})</summary>
      {leftOut > 0 && <p>The first and the last are listed; {count(leftOut)} between them are left out.</p>}
      <PlainTable label="All judged candidates" columns={COLUMNS}>
        {candidates.map((candidate) => (
          <CandidateRow key={candidate.id} candidate={candidate} />
        ))}
      </PlainTable>
    </details>
  );
}

function CandidateRow({ candidate }: { candidate: Candidate }) {
  const { gate, fusion_alpha: alpha, fusion_beta: beta } = candidate;
  return (
    <tr>
      <th scope="row">{candidateName(candidate.id)}</th>
      <td>
        <StateBadge state={gate.verdict} size="1" />
      </td>
      <td className="end">{gate.value === null ? `≤ ${metricValue(gate.best_case)}` : metricValue(gate.value)}</td>
      <td className="end">{metricValue(gate.bound)}</td>
      <td className="end">{metricValue(gate.needed)}</td>
      <td className="end">{percent(gate.negative_flips)}</td>
      <td className="end">
        {count(gate.measured_rows)} of {count(gate.rows)}
      </td>
      <td className="end">{alpha === null || beta === null ? UNKNOWN : `${decimal(alpha, 2)}, ${decimal(beta, 2)}`}</td>
      <td className="end">{decimal(candidate.search_loss)}</td>
      <td className="end">{duration(candidate.elapsed_ms)}</td>
    </tr>
  );
}
