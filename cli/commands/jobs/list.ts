import { Option, type Command } from 'commander';
import type { Job, ListJobsData } from '../../remote/client.ts';
import { duration, percent } from '../../screen/output.ts';
import { addLimit, several, type LimitOptions } from '../../remote/collect.ts';
import { findAdapter } from '../../remote/find.ts';
import { printList } from '../../remote/print-list.ts';
import { addServiceOptions, type Service, type ServiceOptions } from '../../remote/service.ts';
import { paintState } from '../../screen/paint.ts';
import type { Column } from '../../screen/table.ts';

type Query = NonNullable<ListJobsData['query']>;

interface ListOptions extends ServiceOptions, LimitOptions {
  readonly rollout?: string;
  readonly adapter?: string;
  readonly tenant?: string;
  readonly state?: readonly Job['state'][];
  readonly kind?: Job['kind'];
  readonly sort?: Query['sort'];
}

const COLUMNS: readonly Column<Job>[] = [
  { heading: 'JOB', value: ({ id }) => id },
  {
    heading: 'ADAPTER',
    value: ({ adapter_name: name, kind }) => (kind === 'control' ? `${name} (control)` : name),
    shrinks: true,
  },
  { heading: 'STATE', value: stateOf, color: ({ state }, shown, paint) => paintState(paint, state, shown) },
  { heading: 'STRATEGY', value: ({ won_strategy: won, strategy }) => won ?? strategy },
  {
    heading: 'METRIC',
    value: ({ metric }) =>
      metric.best === null
        ? '–'
        : `${metric.name} ${metric.name === 'loss' ? metric.best.toFixed(3) : percent(metric.best)}`,
  },
  { heading: 'TTR', value: ({ ttr_ms: ttr }) => (ttr === null ? '–' : duration(ttr)), align: 'right' },
  { heading: 'WHY', value: ({ error }) => error?.code ?? '', shrinks: true },
];

const SORTS = ['created', '-created', 'finished', '-finished', 'ttr', '-ttr'] as const;

export function addJobsListCommand(jobs: Command): void {
  const command = jobs
    .command('ls')
    .description('List jobs, the newest first.')
    .option('--rollout <id>', 'Only jobs of this rollout.')
    .option('--adapter <adapter>', 'Only jobs of this adapter: its name or identifier.')
    .option('--tenant <id>', 'Only jobs of this tenant.')
    .addOption(new Option('--state <state>', 'Only jobs in this state. May be given several times.').argParser(several))
    .addOption(new Option('--kind <kind>', 'Only adaptations or only controls.').choices(['adaptation', 'control']))
    .addOption(
      new Option(
        '--sort <order>',
        'Order of the list; a minus turns it round. finished and ttr need --rollout.',
      ).choices(SORTS),
    )
    .action(list);
  addServiceOptions(addLimit(command), [
    'readapt jobs ls --rollout rol_… --state not_ready --state failed',
    'readapt jobs ls --rollout rol_… --sort=-ttr --limit 10',
  ]);
}

async function list(options: ListOptions): Promise<void> {
  const { items, listJobs } = await import('../../remote/client.ts');
  await printList(options, {
    async read(service, limit) {
      const query = { ...(await queryOf(service, options)), limit };
      return items(listJobs, { client: service.client, query });
    },
    columns: COLUMNS,
    empty: 'there are no such jobs',
  });
}

async function queryOf(service: Service, { rollout, adapter, tenant, state, kind, sort }: ListOptions): Promise<Query> {
  return {
    ...(rollout && { rollout_id: rollout }),
    ...(adapter && { adapter_id: (await findAdapter(service, adapter)).id }),
    ...(tenant && { tenant_id: tenant }),
    ...(state && { state: [...state] }),
    ...(kind && { kind }),
    ...(sort && { sort }),
  };
}

/** State of a job, marked if it waits for an approval. */
function stateOf({ state, approval }: Job): string {
  return state === 'held' && approval === 'awaited' ? 'held, asks' : state;
}
