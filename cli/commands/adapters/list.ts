import { Option, type Command } from 'commander';
import type { Adapter, ListAdaptersData } from '../../remote/client.ts';
import { addLimit, several, type LimitOptions } from '../../remote/collect.ts';
import { findBaseVersion } from '../../remote/find.ts';
import { printList } from '../../remote/print-list.ts';
import { addServiceOptions, type Service, type ServiceOptions } from '../../remote/service.ts';
import type { Column } from '../../screen/table.ts';
import { relativeTime } from '../../screen/text.ts';

type Query = NonNullable<ListAdaptersData['query']>;

interface ListOptions extends ServiceOptions, LimitOptions {
  readonly on?: string;
  readonly notOn?: string;
  readonly atRiskOn?: string;
  readonly label?: readonly string[];
  readonly tenant?: string;
  readonly sort?: Query['sort'];
}

const COLUMNS: readonly Column<Adapter>[] = [
  { heading: 'ADAPTER', value: ({ id }) => id },
  { heading: 'NAME', value: ({ name }) => name, shrinks: true },
  { heading: 'BASE MODEL', value: ({ base_model_name: name }) => name, shrinks: true },
  {
    heading: 'LATEST',
    value: ({ latest_version: latest }) => (latest === null ? '–' : `v${latest.number} ${latest.origin}`),
  },
  { heading: 'METRIC', value: ({ metric }) => metric },
  {
    heading: 'LABELS',
    value: ({ labels }) =>
      Object.entries(labels)
        .map((pair) => pair.join('='))
        .join(' '),
    shrinks: true,
  },
  { heading: 'CREATED', value: ({ created_at: time }) => relativeTime(time) },
];

export function addAdaptersListCommand(adapters: Command): void {
  const command = adapters
    .command('ls')
    .description('List adapters, the newest first.')
    .option('--on <version>', 'Only those that are served on a base model version: MODEL@VERSION or its identifier.')
    .option('--not-on <version>', 'Only those that have no version for a base model version yet.')
    .option('--at-risk-on <version>', 'Only those that would be without a version if this base model version retired.')
    .addOption(
      new Option('--label <key=value>', 'Only those with this label. May be given several times.').argParser(several),
    )
    .option('--tenant <id>', 'Only those of this tenant.')
    .addOption(
      new Option('--sort <order>', 'Order of the list; a minus turns it round.').choices([
        'created',
        '-created',
        'name',
        '-name',
      ]),
    )
    .action(list);
  addServiceOptions(addLimit(command), [
    'readapt adapters ls',
    'readapt adapters ls --not-on my-llama@2 --label tier=gold',
  ]);
}

async function list(options: ListOptions): Promise<void> {
  const { items, listAdapters } = await import('../../remote/client.ts');
  await printList(options, {
    async read(service, limit) {
      const query = { ...(await queryOf(service, options)), limit };
      return items(listAdapters, { client: service.client, query });
    },
    columns: COLUMNS,
    empty: 'there are no such adapters',
  });
}

async function queryOf(service: Service, { on, notOn, atRiskOn, label, tenant, sort }: ListOptions): Promise<Query> {
  const idOf = async (reference: string): Promise<string> => (await findBaseVersion(service, reference)).id;
  return {
    ...(on && { base_model_version_id: await idOf(on) }),
    ...(notOn && { not_on: await idOf(notOn) }),
    ...(atRiskOn && { at_risk_on: await idOf(atRiskOn) }),
    ...(label && { label: label.map((pair) => pair.replace('=', ':')) }),
    ...(tenant && { tenant_id: tenant }),
    ...(sort && { sort }),
  };
}
