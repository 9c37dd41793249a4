import { access } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Adapter } from '../../remote/client.ts';
import { EXIT, ServiceError, UsageError, quoted } from '../../process/errors.ts';
import { findAdapter, findBaseVersion } from '../../remote/find.ts';
import { addServiceOptions, withService, type Service, type ServiceOptions } from '../../remote/service.ts';
import { printJson } from '../../screen/print.ts';

interface PullOptions extends ServiceOptions {
  readonly out?: string;
  readonly on?: string;
  readonly adapterVersion?: string;
}

export function addAdaptersPullCommand(adapters: Command): void {
  const command = adapters
    .command('pull')
    .description(
      'Fetch a version of an adapter as a PEFT folder. The folder is there once its digest is that of the version. ' +
        'After an interruption the same command goes on where it was.',
    )
    .argument('<adapter>', 'Name or identifier of the adapter.')
    .option('--out <folder>', 'Folder to make, which must not exist. (default: NAME-vNUMBER)')
    .option(
      '--on <version>',
      'The version that is served on a base model version: MODEL@VERSION or its identifier. (default: the latest ' +
        'version)',
    )
    .option('--adapter-version <id>', 'This version: its number, or its identifier adv_….')
    .action(pull);
  addServiceOptions(command, [
    'readapt adapters pull review-sentiment',
    'readapt adapters pull review-sentiment --on my-llama@2 --out adapters/review-sentiment',
  ]);
}

async function pull(reference: string, options: PullOptions): Promise<void> {
  const { downloadAdapter } = await import('../../remote/transfers.ts');
  const { interruptible } = await import('../../process/interruption.ts');
  if (options.on !== undefined && options.adapterVersion !== undefined) {
    throw new UsageError('--on and --adapter-version exclude each other: give one of them');
  }
  const { folder, version } = await withService(options, async (service) => {
    const adapter = await findAdapter(service, reference);
    const { id, number } = await chosen(service, adapter, options);
    const out = options.out ?? `${adapter.name}-v${number}`;
    await requireNew(out);
    const fetched = await interruptible(async (signal) => {
      try {
        return await downloadAdapter({
          client: service.client,
          adapterId: adapter.id,
          versionId: id,
          folder: out,
          signal,
        });
      } catch (error) {
        if (signal.aborted) process.stderr.write('what has arrived is kept: the same command goes on from there\n');
        throw error;
      }
    });
    return { folder: out, version: fetched };
  });
  if (options.json) printJson({ folder, version });
  else
    process.stdout.write(
      `${folder}: version ${version.number} for ${version.base_model_version_id}, ${version.digest}\n`,
    );
}

interface Chosen {
  readonly id: string;
  readonly number: number;
}

async function chosen(service: Service, adapter: Adapter, { on, adapterVersion }: PullOptions): Promise<Chosen> {
  const { client } = service;
  if (adapterVersion !== undefined) return byNumber(service, adapter, adapterVersion);
  if (on === undefined) {
    if (adapter.latest_version !== null) return adapter.latest_version;
    throw missing(`adapter ${adapter.name} has no version`);
  }
  const { getCurrentVersion } = await import('../../remote/client.ts');
  const base = await findBaseVersion(service, on);
  const path = { id: adapter.id, base_model_version_id: base.id };
  const { version_id: id, number } = await getCurrentVersion({ client, path });
  if (id !== null && number !== null) return { id, number };
  throw missing(`adapter ${adapter.name} has no version for ${base.base_model_name} ${base.version} yet`);
}

async function byNumber({ client }: Service, adapter: Adapter, text: string): Promise<Chosen> {
  const { getAdapterVersion, items, listAdapterVersions } = await import('../../remote/client.ts');
  if (text.startsWith('adv_')) return getAdapterVersion({ client, path: { id: adapter.id, version_id: text } });
  const versions = items(listAdapterVersions, { client, path: { id: adapter.id }, query: { limit: 200 } });
  for await (const version of versions) if (String(version.number) === text.replace(/^v/, '')) return version;
  throw missing(`adapter ${adapter.name} has no version ${quoted(text)}`);
}

function missing(message: string): ServiceError {
  return new ServiceError(message, { code: 'not_found', exitCode: EXIT.notFound });
}

async function requireNew(folder: string): Promise<void> {
  const exists = await access(folder).then(
    () => true,
    () => false,
  );
  if (exists) throw new UsageError(`${folder} exists already: name a new folder with --out`);
}
