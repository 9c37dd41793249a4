import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, ServiceError, UsageError } from '../../process/errors.ts';
import { exportFiles, type ExportFile, type ExportPlan } from '../../kubernetes/export-files.ts';
import { toYaml } from '../../kubernetes/manifest.ts';
import type { BaseModelVersion } from '../../remote/client.ts';
import { findBaseVersion } from '../../remote/find.ts';
import { withService, type Service } from '../../remote/service.ts';
import { note, printJson } from '../../screen/print.ts';
import { untilInterrupted } from '../../watch/until-interrupted.ts';
import { writeExport, type WrittenFile } from './export-folder.ts';
import type { ExportOptions } from './export-request.ts';
import { exportPlan, wantedPools, type WantedPool } from './export-plan.ts';
import { createServedVersions, type ServedVersions } from './served-versions.ts';

/**
 * Pool of engines, with a reader of the adapter versions to serve on the pool. With `--follow`, the versions are read
 * repeatedly.
 */
interface FollowedPool {
  readonly name: string;
  readonly servingName: string;
  readonly current: ServedVersions;
}

/**
 * Reads the versions to serve, and prints or writes the Kubernetes objects for them.
 * @throws UsageError, ServiceError
 */
export async function exportKubernetes(options: ExportOptions): Promise<void> {
  const { output, follow = false } = options;
  if (follow && output === undefined)
    throw new UsageError('--follow rewrites files: give --output, the folder for them');
  const [plan, wanted] = [exportPlan(options), wantedPools(options)];
  const work = async (service: Service): Promise<void> => {
    const pools = await findPools(service, wanted, plan);
    await readAll(pools);
    if (output === undefined) return printObjects(filesOf(plan, pools), options);
    report(await writeExport(output, filesOf(plan, pools)), options);
    if (follow) await followChanges(plan, pools, { ...options, output });
  };
  await withService(options, work, { following: follow });
}

/** Rewrites the files whenever a served version has changed, until Ctrl-C. */
async function followChanges(
  plan: ExportPlan,
  pools: readonly FollowedPool[],
  options: ExportOptions & { readonly output: string },
): Promise<void> {
  await untilInterrupted(`the files in ${options.output} stay as they are`, async (signal) => {
    for (;;) {
      await sleep(options.interval * 1000, undefined, { signal });
      if (!(await readAll(pools, signal))) continue;
      const written = await writeExport(options.output, filesOf(plan, pools));
      if (written.some(({ changed }) => changed)) report(written, options);
    }
  });
}

/**
 * Reads for each pool what has changed since the last read.
 * @returns whether any pool has changed
 */
async function readAll(pools: readonly FollowedPool[], signal?: AbortSignal): Promise<boolean> {
  const changed = await Promise.all(pools.map(({ current }) => current.read(signal)));
  return changed.includes(true);
}

function filesOf(plan: ExportPlan, pools: readonly FollowedPool[]): ExportFile[] {
  return exportFiles(
    plan,
    pools.map(({ name, servingName, current }) => ({ name, servingName, served: current.versions() })),
  );
}

async function findPools(service: Service, wanted: readonly WantedPool[], plan: ExportPlan): Promise<FollowedPool[]> {
  const found: (FollowedPool & { readonly id: string })[] = [];
  for (const { version, pool } of wanted) {
    const { id, serving_name: servingName } = await findBaseVersion(service, version);
    found.push({
      id,
      name: pool,
      servingName: servingNameOf(version, servingName),
      current: createServedVersions(service.client, id),
    });
  }
  requireDifferent(
    found,
    ({ id }) => id,
    (id) => `--pool names the base model version ${id} twice: name it once`,
  );
  if (plan.format === 'gateway-api') return found;
  requireDifferent(
    found,
    ({ servingName }) => servingName,
    (name) =>
      `several of the base model versions have the serving_name ${JSON.stringify(name)}, by which ${plan.format} ` +
      'tells pools apart: register them with a name of their own each (--serving-name)',
  );
  return found;
}

/**
 * Returns the serving name of a base model version. If a serving name is a path, the service hides it from tenants.
 * @throws ServiceError if the name is hidden
 */
function servingNameOf(version: string, name: BaseModelVersion['serving_name']): string {
  if (name !== null) return name;
  throw new ServiceError(
    `this key may not read the serving_name of ${version}: use an operator's key with the scope serving:read`,
    {
      code: 'forbidden',
      exitCode: EXIT.refused,
    },
  );
}

function requireDifferent<T>(items: readonly T[], keyOf: (item: T) => string, problem: (key: string) => string): void {
  const keys = items.map(keyOf);
  const twice = keys.find((key, index) => keys.indexOf(key) < index);
  if (twice !== undefined) throw new UsageError(problem(twice));
}

/** Prints the objects as YAML or as a JSON List; `kubectl apply -f -` takes both. */
function printObjects(files: readonly ExportFile[], { json = false }: ExportOptions): void {
  const items = files.flatMap(({ manifests }) => manifests);
  if (json) printJson({ apiVersion: 'v1', kind: 'List', items });
  else process.stdout.write(toYaml(items));
}

function report(files: readonly WrittenFile[], { output, json = false, follow = false }: ExportOptions): void {
  if (json) return void process.stdout.write(`${JSON.stringify({ output, files }, null, follow ? 0 : 2)}\n`);
  const changed = files
    .filter(({ changed }) => changed)
    .map(({ name, objects }) => `${name} (${objects} ${objects === 1 ? 'object' : 'objects'})`);
  note(changed.length === 0 ? `${output} is as it should be` : `wrote ${changed.join(', ')} in ${output}`);
}
