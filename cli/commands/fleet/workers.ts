import type { Command } from 'commander';
import type { Worker } from '../../remote/client.ts';
import { percent } from '../../screen/output.ts';
import { addLimit, type LimitOptions } from '../../remote/collect.ts';
import { identifier } from '../../remote/find.ts';
import { printList } from '../../remote/print-list.ts';
import { addServiceOptions, withService, type ServiceOptions } from '../../remote/service.ts';
import { paintState } from '../../screen/paint.ts';
import { printJson } from '../../screen/print.ts';
import type { Column } from '../../screen/table.ts';
import { relativeTime } from '../../screen/text.ts';

const COLUMNS: readonly Column<Worker>[] = [
  { heading: 'WORKER', value: ({ id }) => id },
  { heading: 'HOST', value: ({ host }) => host, shrinks: true },
  { heading: 'DEVICE', value: ({ device }) => device },
  { heading: 'STATE', value: stateOf, color: ({ state }, shown, paint) => paintState(paint, state, shown) },
  { heading: 'LOAD', value: ({ load }) => percent(load, 0), align: 'right' },
  { heading: 'DONE', value: ({ jobs_done: done }) => String(done), align: 'right' },
  { heading: 'FAULTS', value: ({ faults }) => String(faults), align: 'right' },
  { heading: 'WORKS ON', value: ({ current_job: job, reason }) => job ?? reason ?? '–', shrinks: true },
  { heading: 'SEEN', value: ({ seen_at: time }) => relativeTime(time) },
];

interface DrainOptions extends ServiceOptions {
  readonly keep?: boolean;
}

export function addWorkersCommands(program: Command): void {
  const workers = program
    .command('workers')
    .description('See the workers of a running service, and take them out of work.');
  const list = workers.command('ls').description('List workers, the newest first.').action(listAll);
  addServiceOptions(addLimit(list), ['readapt workers ls']);
  const drain = workers
    .command('drain')
    .description(
      'Let a worker end its job and take no other. Then it stops, or with --keep waits until it is released.',
    )
    .argument('<worker>', 'Identifier of the worker.')
    .option('--keep', 'Keep its process, which waits for `readapt workers release`.')
    .action(drainOne);
  addServiceOptions(drain, ['readapt workers drain wrk_…', 'readapt workers drain wrk_… --keep']);
  const release = workers
    .command('release')
    .description('Let a worker take jobs again that was drained with --keep.')
    .argument('<worker>', 'Identifier of the worker.')
    .action(releaseOne);
  addServiceOptions(release, ['readapt workers release wrk_…']);
}

async function listAll(options: ServiceOptions & LimitOptions): Promise<void> {
  const { items, listWorkers } = await import('../../remote/client.ts');
  await printList(options, {
    read: ({ client }, limit) => items(listWorkers, { client, query: { limit } }),
    columns: COLUMNS,
    empty: 'there are no workers',
  });
}

async function drainOne(id: string, options: DrainOptions): Promise<void> {
  const { drainWorker } = await import('../../remote/client.ts');
  const path = { id: identifier(id, 'wrk', 'a worker') };
  const query = { stop: options.keep !== true };
  report(await withService(options, ({ client }) => drainWorker({ client, path, query })), options);
}

async function releaseOne(id: string, options: ServiceOptions): Promise<void> {
  const { releaseWorker } = await import('../../remote/client.ts');
  const path = { id: identifier(id, 'wrk', 'a worker') };
  report(await withService(options, ({ client }) => releaseWorker({ client, path })), options);
}

function report(worker: Worker, options: ServiceOptions): void {
  if (options.json) return printJson(worker);
  const then = worker.current_job === null ? '' : `, and ends ${worker.current_job} first`;
  process.stdout.write(
    `worker ${worker.id} on ${worker.host} is ${worker.state}${worker.state === 'draining' ? then : ''}\n`,
  );
}

/**
 * Returns the state of a worker for the table. A draining worker is marked `stays` if its process will not end after
 * draining.
 */
function stateOf({ state, idle_requested_at: idle }: Worker): string {
  return state === 'draining' && idle !== null ? 'draining, stays' : state;
}
