import type { Adapter, BaseModelVersion, Rollout } from './client.ts';
import { EXIT, ServiceError, quoted } from '../process/errors.ts';
import type { Service } from './service.ts';

/** Finds a rollout by its identifier, or the newest one if none is given. */
export async function findRollout({ client, target }: Service, id: string | undefined): Promise<Rollout> {
  const { getRollout, listRollouts } = await import('./client.ts');
  if (id !== undefined) return getRollout({ client, path: { id: identifier(id, 'rol', 'a rollout') } });
  const { data } = await listRollouts({ client, query: { limit: 1 } });
  if (data[0] === undefined)
    throw notFound(`${target.url} has no rollout yet: begin one with \`readapt rollout create\``);
  return data[0];
}

/**
 * Finds an adapter by its identifier or its name. A name may be ambiguous for an operator, who sees all tenants'
 * adapters.
 */
export async function findAdapter({ client, target }: Service, reference: string): Promise<Adapter> {
  const { getAdapter, listAdapters } = await import('./client.ts');
  if (reference.startsWith('adp_')) return getAdapter({ client, path: { id: reference } });
  const { data } = await listAdapters({ client, query: { name: reference, limit: 10 } });
  const [first, second] = data;
  if (first === undefined)
    throw notFound(`adapter ${JSON.stringify(reference)} does not exist (asked ${target.url}, ${target.from})`);
  if (second !== undefined) {
    const ids = data.map(({ id, tenant_id: tenant }) => `${id} of ${tenant}`).join(', ');
    throw new ServiceError(`several tenants have an adapter ${JSON.stringify(reference)}: name one of ${ids}`, {
      code: 'ambiguous',
      exitCode: EXIT.usage,
    });
  }
  return first;
}

/** Finds a version of a base model: by its identifier, or by `MODEL@VERSION`. */
export async function findBaseVersion({ client, target }: Service, reference: string): Promise<BaseModelVersion> {
  const { getBaseModelVersion, items, listBaseModelVersions } = await import('./client.ts');
  if (reference.startsWith('bmv_')) return getBaseModelVersion({ client, path: { id: reference } });
  const { model, version } = splitReference(reference);
  for await (const found of items(listBaseModelVersions, { client, path: { model }, query: { limit: 200 } })) {
    if (found.version === version) return found;
  }
  throw notFound(`base model ${model} has no version ${JSON.stringify(version)} (asked ${target.url}, ${target.from})`);
}

/** Splits `MODEL@VERSION`. @throws ServiceError */
export function splitReference(reference: string): { model: string; version: string } {
  const at = reference.lastIndexOf('@');
  if (at > 0 && at < reference.length - 1) return { model: reference.slice(0, at), version: reference.slice(at + 1) };
  throw new ServiceError(
    `${quoted(reference)} names no version of a base model: expected MODEL@VERSION or an identifier bmv_…`,
    { code: 'usage', exitCode: EXIT.usage },
  );
}

/** Checks the prefix of an identifier, so that a job's identifier in place of a rollout's is reported as such. */
export function identifier(text: string, prefix: string, what: string): string {
  if (text.startsWith(`${prefix}_`)) return text;
  throw new ServiceError(`${quoted(text)} is not ${what}: expected an identifier ${prefix}_…`, {
    code: 'usage',
    exitCode: EXIT.usage,
  });
}

function notFound(message: string): ServiceError {
  return new ServiceError(message, { code: 'not_found', exitCode: EXIT.notFound });
}
