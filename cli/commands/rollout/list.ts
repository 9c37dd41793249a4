import { Option, type Command } from 'commander';
import type { Rollout } from '../../remote/client.ts';
import { addLimit, several, type LimitOptions } from '../../remote/collect.ts';
import { printList } from '../../remote/print-list.ts';
import { addServiceOptions, type ServiceOptions } from '../../remote/service.ts';
import { duration } from '../../screen/output.ts';
import { paintState } from '../../screen/paint.ts';
import type { Column } from '../../screen/table.ts';
import { relativeTime } from '../../screen/text.ts';

interface ListOptions extends ServiceOptions, LimitOptions {
  readonly state?: readonly Rollout['state'][];
  readonly baseModel?: string;
}

const COLUMNS: readonly Column<Rollout>[] = [
  { heading: 'ROLLOUT', value: ({ id }) => id },
  { heading: 'BASE MODEL', value: ({ base_model_name: name }) => name, shrinks: true },
  { heading: 'VERSION', value: ({ version }) => version, shrinks: true },
  {
    heading: 'STATE',
    value: stateOf,
    color: ({ state }, shown, paint) => paintState(paint, state, shown),
  },
  { heading: 'READY', value: ({ summary }) => `${summary.ready}/${summary.adapters}`, align: 'right' },
  { heading: 'NOT READY', value: ({ summary }) => String(summary.not_ready), align: 'right' },
  { heading: 'FAILED', value: ({ summary }) => String(summary.failed), align: 'right' },
  { heading: 'MEDIAN TTR', value: ({ summary }) => msOf(summary.median_ttr_ms), align: 'right' },
  { heading: 'ACCEPTED', value: ({ accepted_at: time }) => relativeTime(time) },
];

export function addRolloutListCommand(rollout: Command): void {
  const command = rollout
    .command('ls')
    .description('List rollouts, the newest first.')
    .addOption(
      new Option('--state <state>', 'Only rollouts in this state. May be given several times.').argParser(several),
    )
    .option('--base-model <model>', 'Only rollouts of this base model: its name or identifier.')
    .action(list);
  addServiceOptions(addLimit(command), [
    'readapt rollout ls',
    'readapt rollout ls --state adapting --state paused --json',
  ]);
}

async function list(options: ListOptions): Promise<void> {
  const { items, listRollouts } = await import('../../remote/client.ts');
  const { state, baseModel } = options;
  const query = { ...(state && { state: [...state] }), ...(baseModel && { base_model: baseModel }) };
  await printList(options, {
    read: ({ client }, limit) => items(listRollouts, { client, query: { ...query, limit } }),
    columns: COLUMNS,
    empty: 'there are no such rollouts',
  });
}

/** State of a rollout, marked if a wave waits for an approval. */
function stateOf({ state, waves }: Rollout): string {
  return waves?.awaiting_approval === true ? `${state}, asks` : state;
}

function msOf(milliseconds: number | null): string {
  return milliseconds === null ? '–' : duration(milliseconds);
}
