import type { Command } from 'commander';
import type { BaseModel, BaseModelVersion } from '../../remote/client.ts';
import { createOutput } from '../../screen/output.ts';
import { addLimit, type LimitOptions } from '../../remote/collect.ts';
import { toBasePlace } from '../../remote/base-place.ts';
import { findBaseVersion, splitReference } from '../../remote/find.ts';
import { printList } from '../../remote/print-list.ts';
import { addServiceOptions, withService, type ServiceOptions } from '../../remote/service.ts';
import { painterOf, paintState } from '../../screen/paint.ts';
import { printJson } from '../../screen/print.ts';
import type { Column } from '../../screen/table.ts';
import { relativeTime } from '../../screen/text.ts';
import { baseVersionRows } from './base-version-text.ts';
import type { UploadOptions } from './upload/upload.ts';

interface RegisterOptions extends ServiceOptions {
  readonly path: string;
  readonly servingName?: string;
  readonly retiresAt?: string;
}

const MODELS: readonly Column<BaseModel>[] = [
  { heading: 'BASE MODEL', value: ({ id }) => id },
  { heading: 'NAME', value: ({ name }) => name, shrinks: true },
  {
    heading: 'POLICY',
    value: ({ policy }) => (policy === null ? 'none' : Object.keys(policy).join(', ')),
    shrinks: true,
  },
  { heading: 'CREATED', value: ({ created_at: time }) => relativeTime(time) },
];

const VERSIONS: readonly Column<BaseModelVersion>[] = [
  { heading: 'BASE VERSION', value: ({ id }) => id },
  { heading: 'VERSION', value: ({ version }) => version, shrinks: true },
  {
    heading: 'STATE',
    value: ({ state }) => state,
    color: ({ state }, shown, paint) => paintState(paint, state, shown),
  },
  { heading: 'ARCHITECTURE', value: ({ architecture }) => architecture ?? '–', shrinks: true },
  { heading: 'PARAMETERS', value: ({ parameters }) => parameters?.toLocaleString('en-US') ?? '–', align: 'right' },
  { heading: 'RETIRES', value: ({ retires_at: time }) => relativeTime(time) },
  { heading: 'REGISTERED', value: ({ created_at: time }) => relativeTime(time) },
];

export function addBasesCommands(program: Command): void {
  const models = program
    .command('base-models')
    .description('See the base models of a running service, and create one.');
  const list = models.command('ls').description('List base models, the newest first.').action(listModels);
  addServiceOptions(addLimit(list), ['readapt base-models ls']);
  const creating = models
    .command('create')
    .description('Create a base model, which has no version yet.')
    .argument('<name>', 'Its name.')
    .action(createModel);
  addServiceOptions(creating, ['readapt base-models create my-llama']);
  registerVersions(
    program.command('base-versions').description('See the versions of base models, register one, or upload its files.'),
  );
}

function registerVersions(versions: Command): void {
  const listing = versions
    .command('ls')
    .description('List the versions of a base model, the newest first.')
    .argument('<model>', 'Name or identifier of the base model.')
    .action(listVersions);
  addServiceOptions(addLimit(listing), ['readapt base-versions ls my-llama']);
  const getting = versions
    .command('get')
    .description('Show a version of a base model, and what is at risk when it retires.')
    .argument('<version>', 'MODEL@VERSION, or the identifier.')
    .action(getVersion);
  addServiceOptions(getting, ['readapt base-versions get my-llama@2']);
  const adding = versions
    .command('register')
    .description(
      'Register a version of a base model, and begin nothing. `rollout create --path` registers one and begins.',
    )
    .argument('<version>', 'MODEL@VERSION.')
    .requiredOption(
      '--path <place>',
      "Folder of the model files on the service's machine, hf://ORG/NAME@REVISION, s3://BUCKET/PREFIX or upload://ID.",
    )
    .option('--serving-name <name>', 'What serving engines call the version. (default: --path, or ORG/NAME of a hub)')
    .option('--retires-at <time>', 'When the version is no longer served, as 2027-01-31T00:00:00Z.')
    .action(registerVersion);
  addServiceOptions(adding, [
    'readapt base-versions register my-llama@1 --path /models/my-llama-v1',
    'readapt base-versions register my-llama@2 --path hf://my-org/my-llama@v2',
  ]);
  addUpload(versions);
}

function addUpload(versions: Command): void {
  const uploading = versions
    .command('upload')
    .description('Send the files of a base model to the service. Run it again to go on where it was interrupted.')
    .argument('<place...>', 'Folder of a model, or tar archives that have its files together.')
    .option('--register <version>', 'Registers a version of the files, as MODEL@VERSION, and begins nothing.')
    .option('--serving-name <name>', 'What serving engines call the version. (default: upload://…)')
    .option(
      '--again',
      'Sends the files although a complete upload of them is there, of which the service has lost a part.',
    )
    .action(async (places: string[], options: UploadOptions) => {
      const { uploadBase } = await import('./upload/upload.ts');
      await uploadBase(places, options);
    });
  addServiceOptions(uploading, [
    'readapt base-versions upload ./my-llama-v2',
    'readapt base-versions upload shards-1.tar shards-2.tar --register my-llama@2 --serving-name my-org/my-llama-v2',
  ]);
}

async function listModels(options: ServiceOptions & LimitOptions): Promise<void> {
  const { items, listBaseModels } = await import('../../remote/client.ts');
  await printList(options, {
    read: ({ client }, limit) => items(listBaseModels, { client, query: { limit } }),
    columns: MODELS,
    empty: 'there are no base models',
  });
}

async function createModel(name: string, options: ServiceOptions): Promise<void> {
  const { createBaseModel } = await import('../../remote/client.ts');
  const model = await withService(options, ({ client }) => createBaseModel({ client, body: { name } }));
  if (options.json) printJson(model);
  else process.stdout.write(`base model ${model.name} (${model.id}) is created\n`);
}

async function registerVersion(reference: string, options: RegisterOptions): Promise<void> {
  const { createBaseModelVersion } = await import('../../remote/client.ts');
  const { model, version } = splitReference(reference);
  const { path, servingName, retiresAt } = options;
  const body = {
    ...{ version, ...toBasePlace(path), rollout: false as const },
    ...(servingName !== undefined && { serving_name: servingName }),
    ...(retiresAt !== undefined && { retires_at: retiresAt }),
  };
  const request = { path: { model }, body };
  const created = await withService(options, ({ client }) => createBaseModelVersion({ client, ...request }));
  if (options.json) return printJson(created.base_model_version);
  process.stdout.write(`${reference} (${created.base_model_version.id}) is registered\n`);
}

async function listVersions(model: string, options: ServiceOptions & LimitOptions): Promise<void> {
  const { items, listBaseModelVersions } = await import('../../remote/client.ts');
  await printList(options, {
    read: ({ client }, limit) => items(listBaseModelVersions, { client, path: { model }, query: { limit } }),
    columns: VERSIONS,
    empty: `${model} has no versions`,
  });
}

async function getVersion(reference: string, options: ServiceOptions): Promise<void> {
  const { getAtRisk } = await import('../../remote/client.ts');
  const { version, atRisk } = await withService(options, async (service) => {
    const found = await findBaseVersion(service, reference);
    return { version: found, atRisk: await getAtRisk({ client: service.client, path: { id: found.id } }) };
  });
  const rows = baseVersionRows(version, atRisk, painterOf(process.stdout));
  createOutput(options).result({ ...version, at_risk: atRisk }, rows);
}
