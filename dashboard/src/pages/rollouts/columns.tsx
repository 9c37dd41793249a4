import { Link } from '@tanstack/react-router';
import type { Rollout } from '@readapt/client';
import { count, duration, UNKNOWN } from '../../lib/format.ts';
import type { Column } from '../../parts/table/use-server-table.ts';
import { RolloutBadge } from '../../parts/values/rollout-badge.tsx';
import { StateBar } from '../../parts/values/state-bar.tsx';
import { Time } from '../../parts/values/time.tsx';

export const COLUMNS: readonly Column<Rollout>[] = [
  {
    id: 'rollout',
    header: 'Rollout',
    width: 210,
    cell: ({ id, base_model_name: name, version }) => (
      <Link to="/rollouts/$rolloutId" params={{ rolloutId: id }} className="plain-link">
        {name} to version {version}
      </Link>
    ),
  },
  { id: 'state', header: 'State', width: 190, cell: (rollout) => <RolloutBadge rollout={rollout} /> },
  { id: 'jobs', header: 'Jobs', width: 190, cell: ({ jobs }) => <StateBar counts={jobs} of="jobs" /> },
  {
    id: 'ready',
    header: 'Ready',
    width: 100,
    align: 'end',
    cell: ({ summary: { ready, adapters } }) => `${count(ready)} of ${count(adapters)}`,
  },
  {
    id: 'ttr',
    header: 'Half ready within',
    width: 136,
    align: 'end',
    cell: ({ summary }) => duration(summary.median_ttr_ms),
  },
  {
    id: 'speedup',
    header: 'Median speed-up',
    width: 136,
    align: 'end',
    cell: ({ summary: { median_speedup: speedup } }) => (speedup === null ? UNKNOWN : `${speedup.toFixed(1)} times`),
  },
  {
    id: 'accepted',
    header: 'Accepted',
    width: 136,
    sort: 'accepted',
    cell: ({ accepted_at: at }) => <Time value={at} />,
  },
  { id: 'finished', header: 'Ended', width: 136, cell: ({ finished_at: at }) => <Time value={at} /> },
];
