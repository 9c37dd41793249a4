import { Option, type Command } from 'commander';
import type { Replica } from '../../remote/client.ts';
import { createOutput } from '../../screen/output.ts';
import { addLimit, type LimitOptions } from '../../remote/collect.ts';
import { findBaseVersion, identifier } from '../../remote/find.ts';
import { printList } from '../../remote/print-list.ts';
import { addServiceOptions, withService, type ServiceOptions } from '../../remote/service.ts';
import { paintState } from '../../screen/paint.ts';
import { printJson } from '../../screen/print.ts';
import type { Column } from '../../screen/table.ts';
import { relativeTime } from '../../screen/text.ts';

const COLUMNS: readonly Column<Replica>[] = [
  { heading: 'REPLICA', value: ({ id }) => id },
  { heading: 'NAME', value: ({ name }) => name, shrinks: true },
  { heading: 'ENGINE', value: ({ engine }) => engine },
  {
    heading: 'STATE',
    value: ({ state }) => state,
    color: ({ state }, shown, paint) => paintState(paint, state, shown),
  },
  { heading: 'LOADED', value: ({ loaded, desired }) => `${loaded}/${desired}`, align: 'right' },
  { heading: 'FAILED', value: ({ failed }) => String(failed), align: 'right' },
  { heading: 'ERROR', value: ({ error }) => error?.code ?? '–', shrinks: true },
  { heading: 'SEEN', value: ({ last_seen_at: time }) => (time === null ? 'never' : relativeTime(time)) },
];

interface AddOptions extends ServiceOptions {
  readonly engine: 'vllm' | 'sglang';
  readonly base: string;
  readonly path: string;
  readonly maxAdapters?: string;
  readonly aliases: boolean;
}

/** Environment variable with the engine's API key. As a flag, the key would show in the list of processes. */
const ENGINE_KEY_VARIABLE = 'READAPT_ENGINE_API_KEY';

export function addReplicasCommands(program: Command): void {
  const replicas = program
    .command('replicas')
    .description('See and choose the serving engines in which a running service loads adapters.');
  const list = replicas.command('ls').description('List replicas, the newest first.').action(listAll);
  addServiceOptions(addLimit(list), ['readapt replicas ls']);
  const add = replicas
    .command('add')
    .description(`Add a replica. The key that its engine asks for is taken from ${ENGINE_KEY_VARIABLE}.`)
    .argument('<name>', 'Name of the replica.')
    .argument('<url>', 'Where the engine answers, without /v1.')
    .requiredOption('--base <version>', 'The base model version that it serves: MODEL@VERSION or bmv_….')
    .requiredOption('--path <folder>', 'The folder of adapters as the engine sees it.')
    .addOption(new Option('--engine <engine>', 'What runs there.').choices(['vllm', 'sglang']).default('vllm'))
    .option('--max-adapters <number>', 'Largest number of adapters that are loaded. (default: 1000)')
    .option('--no-aliases', 'Load adapters only under names with a number.')
    .action(addOne);
  addServiceOptions(add, ['readapt replicas add gpu-3 http://10.0.0.3:8000 --base assistant@2 --path /adapters/bmv_…']);
  const show = replicas
    .command('show')
    .description('Show how a replica stands.')
    .argument('<replica>', 'Identifier of the replica.')
    .action(showOne);
  addServiceOptions(show, ['readapt replicas show rep_…', 'readapt replicas show rep_… --json']);
  const remove = replicas
    .command('rm')
    .description('Remove a replica from the service. Its engine keeps what it has loaded.')
    .argument('<replica>', 'Identifier of the replica.')
    .action(removeOne);
  addServiceOptions(remove, ['readapt replicas rm rep_…']);
}

async function listAll(options: ServiceOptions & LimitOptions): Promise<void> {
  const { items, listReplicas } = await import('../../remote/client.ts');
  await printList(options, {
    read: ({ client }, limit) => items(listReplicas, { client, query: { limit } }),
    columns: COLUMNS,
    empty: 'there are no replicas',
  });
}

async function addOne(name: string, url: string, options: AddOptions): Promise<void> {
  const { createReplica } = await import('../../remote/client.ts');
  const apiKey = process.env[ENGINE_KEY_VARIABLE];
  const replica = await withService(options, async (service) => {
    const { id } = await findBaseVersion(service, options.base);
    const body = {
      ...{ name, url, engine: options.engine, base_model_version_id: id, path_prefix: options.path },
      ...{ aliases: options.aliases, api_key: apiKey === undefined || apiKey === '' ? null : apiKey },
      ...(options.maxAdapters !== undefined && { max_adapters: Number(options.maxAdapters) }),
    };
    return createReplica({ client: service.client, body });
  });
  report(replica, options);
}

async function showOne(id: string, options: ServiceOptions): Promise<void> {
  const { getReplica } = await import('../../remote/client.ts');
  const path = { id: identifier(id, 'rep', 'a replica') };
  report(await withService(options, ({ client }) => getReplica({ client, path })), options);
}

async function removeOne(id: string, options: ServiceOptions): Promise<void> {
  const { deleteReplica } = await import('../../remote/client.ts');
  const path = { id: identifier(id, 'rep', 'a replica') };
  await withService(options, ({ client }) => deleteReplica({ client, path }));
  if (options.json) return printJson({ id, removed: true });
  process.stdout.write(`replica ${id} is removed\n`);
}

function report(replica: Replica, options: ServiceOptions): void {
  createOutput(options).result(replica, [
    ['replica', `${replica.id} (${replica.name})`],
    ['engine', `${replica.engine} at ${replica.url}`],
    ['base model version', replica.base_model_version_id],
    ['state', replica.state],
    ['adapters', `${replica.loaded} of ${replica.desired} loaded, ${replica.failed} failed`],
    ['error', replica.error === null ? '–' : `${replica.error.code}: ${replica.error.message}`],
    ['seen', replica.last_seen_at === null ? 'never' : relativeTime(replica.last_seen_at)],
  ]);
}
