import { UsageError } from '../process/errors.ts';
import type { ServedVersion } from '../remote/client.ts';
import { metadataOf, type Common, type Manifest } from './manifest.ts';
import { hashedName } from './object-names.ts';
import { sorted, type Pool } from './pools.ts';

/** Placeholders that a source URI may contain, each with the property of an adapter version that replaces it. */
const PLACEHOLDERS: Readonly<Record<string, (version: ServedVersion) => string>> = {
  adapter_id: ({ adapter_id: id }) => id,
  adapter_version_id: ({ adapter_version_id: id }) => id,
  alias: ({ alias }) => alias,
  base_model_version_id: ({ base_model_version_id: id }) => id,
  digest: ({ digest }) => digest,
  name: ({ name }) => name,
  number: ({ number }) => String(number),
  tenant_id: ({ tenant_id: id }) => id,
};

const PLACEHOLDER = /\{([^{}]*)\}/g;

/** Function that makes the URI from which engines load an adapter version. */
export type SourceUri = (version: ServedVersion) => string;

/**
 * Parses a template of source URIs, such as `s3://adapters/{base_model_version_id}/{name}`.
 * @throws UsageError
 */
export function sourceUri(template: string): SourceUri {
  if (!/^(s3|hf|file):\/\/./.test(template)) {
    throw new UsageError(
      `--source-uri is ${JSON.stringify(template)}, expected one that begins with s3://, hf:// or file://`,
    );
  }
  const used = [...template.matchAll(PLACEHOLDER)].map(([, name]) => name!);
  const unknown = used.find((name) => !Object.hasOwn(PLACEHOLDERS, name));
  if (unknown !== undefined) {
    const known = Object.keys(PLACEHOLDERS).join('}, {');
    throw new UsageError(`--source-uri has {${unknown}}, expected {${known}}`);
  }
  if (!used.some((name) => ['adapter_version_id', 'digest', 'name'].includes(name)) && !isNumbered(used)) {
    throw new UsageError(
      `--source-uri is ${JSON.stringify(template)}, which is the same for several versions: add {name} or ` +
        '{adapter_version_id}',
    );
  }
  return (version) => template.replaceAll(PLACEHOLDER, (_, name: string) => PLACEHOLDERS[name]!(version));
}

function isNumbered(used: readonly string[]): boolean {
  return used.includes('number') && (used.includes('alias') || used.includes('adapter_id'));
}

/**
 * Builds a DynamoModel for each version that is current on any of the pools. Each version has an object and a name of
 * its own, because the operator unloads the model of a deleted object by its name: under a shared name, it would unload
 * the new version with the old one.
 */
export function dynamoModels(common: Common, pools: readonly Pool[], uri: SourceUri): Manifest[] {
  return pools.flatMap(({ servingName, served }) =>
    sorted(served).map((version) => ({
      apiVersion: 'nvidia.com/v1alpha1',
      kind: 'DynamoModel',
      metadata: metadataOf(common, hashedName(`${version.name}.${version.base_model_version_id}`)),
      spec: {
        modelName: version.name,
        baseModelName: servingName,
        modelType: 'lora',
        source: { uri: uri(version) },
      },
    })),
  );
}
