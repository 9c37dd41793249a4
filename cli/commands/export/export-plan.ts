import { UsageError, quoted } from '../../process/errors.ts';
import { sourceUri } from '../../kubernetes/dynamo-models.ts';
import type { ExportPlan } from '../../kubernetes/export-files.ts';
import { isObjectName, OBJECT_NAME_EXPECTED } from '../../kubernetes/object-names.ts';
import type { ExportOptions } from './export-request.ts';

/** Pair that `--pool` gives: a base model version, and the pool of engines that serves it. */
export interface WantedPool {
  readonly version: string;
  /** Name of the InferencePool; empty for Dynamo, which finds engines by their base. */
  readonly pool: string;
}

/**
 * Largest number of pools in an export. An HTTPRoute has at most 16 rules, and the HTTPRoute for llm-d has one rule for
 * each pool.
 */
const MAX_POOLS = 16;
/** Largest number of hostnames that an HTTPRoute accepts. */
const MAX_HOSTNAMES = 16;
const HOSTNAME = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Parses `--pool`. @throws UsageError */
export function wantedPools({ pool: given, format }: Pick<ExportOptions, 'pool' | 'format'>): WantedPool[] {
  if (given.length > MAX_POOLS)
    throw new UsageError(`--pool is given ${given.length} times, expected at most ${MAX_POOLS}`);
  const wanted = given.map((text) => wantedPool(text, format));
  const names = wanted.map(({ pool }) => pool).filter((name) => name !== '');
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice === undefined) return wanted;
  throw new UsageError(`--pool names the pool ${twice} twice, expected a pool of its own for each base model version`);
}

function wantedPool(text: string, format: ExportOptions['format']): WantedPool {
  const [, version, pool = ''] = /^([^=]*)(?:=(.*))?$/.exec(text) ?? [];
  if (!version) throw new UsageError(`--pool is ${quoted(text)}, expected VERSION=POOL`);
  if (format === 'dynamo' && pool === '') return { version, pool };
  if (isObjectName(pool)) return { version, pool };
  throw new UsageError(
    `--pool ${quoted(text)} names no pool: expected VERSION=POOL, where POOL has ${OBJECT_NAME_EXPECTED}`,
  );
}

/** Turns options into the plan of an export. @throws UsageError for missing options */
export function exportPlan(options: ExportOptions): ExportPlan {
  const { format, name, namespace, rewrites, modelHeader, configMaps } = options;
  const common = { name, ...(namespace !== undefined && { namespace }) };
  if (format === 'dynamo') {
    const template = options.sourceUri;
    if (template === undefined)
      throw new UsageError('--format dynamo needs --source-uri, such as s3://adapters/{base_model_version_id}/{name}');
    return { ...common, format, sourceUri: sourceUri(template) };
  }
  const { gateway, gatewayNamespace, hostname: hostnames = [] } = options;
  if (gateway === undefined) throw new UsageError(`--format ${format} needs --gateway, the name of a Gateway`);
  requireHostnames(hostnames);
  const routing = { ...common, gateway, ...(gatewayNamespace !== undefined && { gatewayNamespace }), hostnames };
  return format === 'llm-d'
    ? { ...routing, format, rewrites, configMaps }
    : { ...routing, format, rewrites, modelHeader };
}

function requireHostnames(hostnames: readonly string[]): void {
  const wrong = hostnames.find((name) => name.length > 253 || !HOSTNAME.test(name) || /^[\d.]+$/.test(name));
  if (wrong !== undefined) {
    throw new UsageError(`--hostname is ${quoted(wrong)}, expected a name such as llm.example.com or *.example.com`);
  }
  if (hostnames.length > MAX_HOSTNAMES)
    throw new UsageError(`--hostname is given ${hostnames.length} times, expected at most ${MAX_HOSTNAMES}`);
}
