import type { Worker } from '@readapt/client';
import { count } from '../../lib/format.ts';
import { PlainTable } from '../../parts/table/plain-table.tsx';
import { Time } from '../../parts/values/time.tsx';

const COLUMNS = ['Worker', 'Device', 'Version', 'Jobs done', 'Jobs failed', 'Seen last'];

/** The log of workers that are no more. */
export function GoneWorkers({ workers }: { workers: readonly Worker[] }) {
  return (
    <PlainTable label="Workers that are gone" columns={COLUMNS}>
      {workers.map((worker) => (
        <tr key={worker.id}>
          <td>
            {worker.host}, process {worker.pid}
          </td>
          <td>{worker.device}</td>
          <td>{worker.version}</td>
          <td className="end">{count(worker.jobs_done)}</td>
          <td className="end">{count(worker.jobs_failed)}</td>
          <td>
            <Time value={worker.seen_at} />
          </td>
        </tr>
      ))}
    </PlainTable>
  );
}
