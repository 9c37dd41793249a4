import { Text } from '@radix-ui/themes';
import type { Worker } from '@readapt/client';
import { useEndless } from '../../api/use-endless.ts';
import { useViewer } from '../../api/viewer.ts';
import { count, counted } from '../../lib/format.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { PlainTable } from '../../parts/table/plain-table.tsx';
import { StateBar } from '../../parts/values/state-bar.tsx';
import { Time } from '../../parts/values/time.tsx';
import { WorkerCard } from './worker-card.tsx';
import { ALL_WORKERS } from './workers-queries.ts';

/** Page with the workers, their load, and their problems. */
export default function WorkersPage() {
  const { isOperator } = useViewer();
  return (
    <>
      <PageHeader
        title="Workers"
        description="Processes that carry adapters over, each with one device."
        json={isOperator ? ['/v1/workers'] : []}
      />
      {isOperator ? (
        <Workers />
      ) : (
        <Empty title="Workers belong to the operator.">A key of a tenant does not see them.</Empty>
      )}
    </>
  );
}

function Workers() {
  const { query } = useEndless(ALL_WORKERS);
  return (
    <Loaded query={query} what="the workers">
      {(workers) => <AllWorkers workers={workers} />}
    </Loaded>
  );
}

function AllWorkers({ workers }: { workers: readonly Worker[] }) {
  const [alive, gone] = [
    workers.filter(({ state }) => state !== 'gone'),
    workers.filter(({ state }) => state === 'gone'),
  ];
  return (
    <>
      <Section title={counted(alive.length, 'worker')}>
        {alive.length === 0 ? (
          <Empty title="No worker is running.">
            Jobs wait until one is. Start one with <code>npx readapt worker</code>, with the same settings as the
            service.
          </Empty>
        ) : (
          <>
            <StateBar counts={countsOf(alive)} of="workers" />
            <ul className="cards">
              {alive.map((worker) => (
                <li key={worker.id}>
                  <WorkerCard worker={worker} />
                </li>
              ))}
            </ul>
          </>
        )}
      </Section>
      {gone.length > 0 && (
        <Section title="Gone">
          <Text size="2" color="gray">
            They have stopped, or gave no sign of life for 30 seconds.
          </Text>
          <GoneWorkers workers={gone} />
        </Section>
      )}
    </>
  );
}

function countsOf(workers: readonly Worker[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of workers) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

const GONE_COLUMNS = ['Worker', 'Device', 'Version', 'Jobs done', 'Jobs failed', 'Seen last'];

/** Table of workers that have stopped. */
function GoneWorkers({ workers }: { workers: readonly Worker[] }) {
  return (
    <PlainTable label="Workers that are gone" columns={GONE_COLUMNS}>
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
