import type { Command } from 'commander';
import type { Adapter, AdapterVersion } from '../../remote/client.ts';
import { createOutput } from '../../screen/output.ts';
import { collect } from '../../remote/collect.ts';
import { findAdapter } from '../../remote/find.ts';
import { addServiceOptions, withService, type ServiceOptions } from '../../remote/service.ts';
import { painterOf } from '../../screen/paint.ts';
import { printJson } from '../../screen/print.ts';
import { renderTable, terminalSize, type Column } from '../../screen/table.ts';
import { relativeTime } from '../../screen/text.ts';

/** Largest number of an adapter's versions that `readapt adapter get` lists, the newest first. */
const VERSIONS_SHOWN = 20;

const COLUMNS: readonly Column<AdapterVersion & { readonly served: boolean }>[] = [
  { heading: 'VERSION', value: ({ number }) => `v${number}`, align: 'right' },
  { heading: 'IDENTIFIER', value: ({ id }) => id },
  { heading: 'FOR', value: ({ base_model_version_id: base }) => base },
  { heading: 'ORIGIN', value: ({ origin, strategy }) => (strategy === null ? origin : `${origin}, ${strategy}`) },
  { heading: 'VALUE', value: ({ gate_value: value }) => (value === null ? '–' : value.toFixed(3)), align: 'right' },
  { heading: 'SERVED', value: ({ served, provisional }) => (served ? (provisional ? 'provisional' : 'yes') : '') },
  { heading: 'MADE', value: ({ created_at: time }) => relativeTime(time) },
];

export function addAdaptersGetCommand(adapters: Command): void {
  const command = adapters
    .command('get')
    .description('Show an adapter with its versions, and which of them are served.')
    .argument('<adapter>', 'Name or identifier of the adapter.')
    .action(get);
  addServiceOptions(command, ['readapt adapters get review-sentiment', 'readapt adapters get adp_… --json']);
}

async function get(reference: string, options: ServiceOptions): Promise<void> {
  const { items, listAdapterVersions } = await import('../../remote/client.ts');
  const { adapter, versions } = await withService(options, async (service) => {
    const { client } = service;
    const found = await findAdapter(service, reference);
    const list = (limit: number) => items(listAdapterVersions, { client, path: { id: found.id }, query: { limit } });
    return { adapter: found, versions: (await collect({ limit: VERSIONS_SHOWN }, list)).data };
  });
  if (options.json) return printJson({ ...adapter, versions });
  const served = new Set(adapter.current.map(({ version_id: id }) => id));
  const rows = versions.map((version) => ({ ...version, served: served.has(version.id) }));
  const width = process.stdout.isTTY === true ? terminalSize(process.stdout).columns : null;
  const table = renderTable(rows, COLUMNS, { width, paint: painterOf(process.stdout) });
  createOutput(options).result({}, rowsOf(adapter), versions.length === 0 ? '' : `\n${table}`);
}

function rowsOf(adapter: Adapter): (readonly [string, string])[] {
  const { id, name, tenant_id: tenant, base_model_name: model, dataset_id: dataset, metric, gate, labels } = adapter;
  const pin = adapter.pinned_base_model_version_id;
  return [
    ['adapter', `${name} (${id})`],
    ['tenant', tenant],
    ['base model', model],
    ['dataset', dataset ?? 'none'],
    ['gate', `${metric}, ${gate.kind} ${gate.kind === 'absolute' ? gate.target : gate.margin}`],
    ...(Object.keys(labels).length === 0
      ? []
      : [
          [
            'labels',
            Object.entries(labels)
              .map((pair) => pair.join('='))
              .join(' '),
          ] as const,
        ]),
    ...(pin === null ? [] : [['pinned to', pin] as const]),
    ...(adapter.approval === 'none' ? [] : [['approval', `each job waits for its ${adapter.approval}`] as const]),
  ];
}
