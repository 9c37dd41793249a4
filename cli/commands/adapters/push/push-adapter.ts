import type { MetricName } from '../../../../core/options/metrics.ts';
import type { Adapter, AdapterFiles, AdapterVersion, CreatedAdapter } from '../../../remote/client.ts';
import { EXIT, ServiceError, UsageError } from '../../../process/errors.ts';
import { interruptible } from '../../../process/interruption.ts';
import { gateOf, type GateOptions } from '../../../options/gate-options.ts';
import { findAdapter } from '../../../remote/find.ts';
import { isRemote } from '../../../remote/base-place.ts';
import type { Service, ServiceOptions } from '../../../remote/service.ts';
import { note, printJson } from '../../../screen/print.ts';

export interface PushOptions extends ServiceOptions, GateOptions {
  readonly name: string;
  readonly baseModel?: string;
  readonly baseVersion: string;
  readonly data?: string;
  readonly dataset?: string;
  readonly metric?: MetricName;
  readonly label?: Readonly<Record<string, string>>;
  readonly tenant?: string;
  readonly hubToken?: true;
}

/**
 * Imports an adapter from a folder, a hub or a bucket as a new version. Creates the adapter and its dataset if no
 * adapter has that name.
 */
export async function pushAdapter(service: Service, folder: string, options: PushOptions): Promise<void> {
  const source = isRemote(folder) ? sourceOf(folder, options) : null;
  if (source === null && options.hubToken) throw new UsageError('--hub-token is for hf://ORG/NAME: leave it out');
  await interruptible(async (signal) => {
    const found = await existing(service, options);
    if (found !== null) refuseSettings(options, found);
    const adapter = found ?? (await createAdapter(service, options, signal));
    const request = { adapterId: adapter.id, baseModelVersion: options.baseVersion, signal };
    const version = await (source === null ? upload(service, folder, request) : importFrom(service, source, request));
    if (options.json) return printJson({ adapter_id: adapter.id, created: found === null, version });
    process.stdout.write(
      `adapter ${adapter.name} (${adapter.id}) has version ${version.number}: ${version.id}, ${version.digest}\n`,
    );
  });
}

interface VersionRequest {
  readonly adapterId: string;
  readonly baseModelVersion: string;
  readonly signal: AbortSignal;
}

async function upload({ client }: Service, folder: string, request: VersionRequest): Promise<AdapterVersion> {
  const { uploadAdapter } = await import('../../../remote/transfers.ts');
  return uploadAdapter({ client, folder, ...request });
}

async function importFrom(
  { client }: Service,
  source: Source,
  { adapterId, baseModelVersion, signal }: VersionRequest,
): Promise<AdapterVersion> {
  const { importAdapterVersion } = await import('../../../remote/client.ts');
  const body = { base_model_version: baseModelVersion, source };
  return importAdapterVersion({ client, path: { id: adapterId }, body, signal });
}

type Source = NonNullable<AdapterFiles['source']>;

/** Builds the source that the service fetches. The hub token is sent only with `--hub-token`. */
function sourceOf(text: string, { hubToken }: PushOptions): Source {
  if (!hubToken) return text;
  const [, repo = '', revision] = /^hf:\/\/([^@]+)(?:@(.+))?$/.exec(text) ?? [];
  if (repo === '') throw new UsageError('--hub-token is for hf://ORG/NAME: leave it out');
  const token = process.env.HF_TOKEN?.trim() ?? '';
  if (token === '') throw new UsageError('--hub-token is given, and HF_TOKEN is not set: set it to a token of the hub');
  return { kind: 'hub', repo, ...(revision !== undefined && { revision }), token };
}

async function existing(service: Service, { name }: PushOptions): Promise<Adapter | null> {
  return findAdapter(service, name).catch((error: unknown) => {
    const isAbsent = error instanceof ServiceError && error.exitCode === EXIT.notFound;
    if (isAbsent && !name.startsWith('adp_')) return null;
    throw error;
  });
}

/**
 * Rejects options that describe a new adapter if the adapter exists already, because they would have no effect.
 * @throws UsageError
 */
function refuseSettings(options: PushOptions, { name, id }: Adapter): void {
  const { data, dataset, metric, label, target, margin, nonInferior } = options;
  const given = Object.entries({ data, dataset, metric, label, target, margin, 'non-inferior': nonInferior });
  const [first] = given.find(([, value]) => value !== undefined) ?? [];
  if (first !== undefined) {
    throw new UsageError(
      `adapter ${name} (${id}) exists, and --${first} is for a new one: leave it out, or give another --name`,
    );
  }
}

async function createAdapter(service: Service, options: PushOptions, signal: AbortSignal): Promise<CreatedAdapter> {
  const { createAdapter: create } = await import('../../../remote/client.ts');
  const { name, baseModel, metric, label, tenant } = options;
  if (baseModel === undefined || metric === undefined) {
    const missing = baseModel === undefined ? '--base-model' : '--metric';
    throw new UsageError(`there is no adapter ${JSON.stringify(name)} yet, and ${missing} is missing to create it`);
  }
  const gate = gateOf(options);
  const dataset_id = await datasetOf(service, options, signal);
  const body = {
    name,
    base_model: baseModel,
    dataset_id,
    metric,
    gate,
    ...(label && { labels: label }),
    ...(tenant && { tenant_id: tenant }),
  };
  const created = await create({ client: service.client, body, signal });
  if (!options.json) adviseOn(created);
  return created;
}

/**
 * Warns if the dataset has too few gate rows to certify the gate's margin. Without the warning, this would show only
 * after a job.
 */
function adviseOn({ gate_advice: advice }: CreatedAdapter): void {
  if (advice === null || advice.decidable === 'yes' || advice.decidable === null) return;
  const needed = advice.rows_needed === null ? '' : `; about ${advice.rows_needed} rows would`;
  const how = advice.decidable === 'no' ? 'cannot' : 'will hardly';
  note(
    `the ${advice.rows} gate rows ${how} certify a margin of ${advice.margin ?? '–'}${needed} (docs/method/gate.md)`,
  );
}

/** Returns the dataset's identifier. Uploads the rows first if `--data` names a file. */
async function datasetOf(service: Service, options: PushOptions, signal: AbortSignal): Promise<string> {
  const { client, target } = service;
  const { name, data, dataset, tenant } = options;
  if ((data === undefined) === (dataset === undefined)) {
    throw new UsageError(
      `give --data or --dataset, and not both: adapter ${JSON.stringify(name)} is new and needs the rows of its task`,
    );
  }
  if (data !== undefined) {
    const { uploadDataset } = await import('../../../remote/transfers.ts');
    const request = { client, name: `${name.slice(0, 95)}-rows`, file: data, signal };
    return (await uploadDataset({ ...request, ...(tenant && { tenantId: tenant }) })).id;
  }
  if (dataset === undefined || dataset.startsWith('dst_')) return dataset ?? '';
  const { listDatasets } = await import('../../../remote/client.ts');
  const { data: found } = await listDatasets({
    client,
    query: { name: dataset, limit: 2, ...(tenant && { tenant_id: tenant }) },
  });
  if (found[0] !== undefined) return found[0].id;
  throw new ServiceError(`dataset ${JSON.stringify(dataset)} does not exist (asked ${target.url}, ${target.from})`, {
    code: 'not_found',
    exitCode: EXIT.notFound,
  });
}
