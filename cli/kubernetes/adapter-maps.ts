import { UsageError } from '../process/errors.ts';
import { jsonBytes, MAX_OBJECT_BYTES, metadataOf, type Common, type Manifest } from './manifest.ts';
import { joinName } from './object-names.ts';
import { movedTo, type Pool } from './pools.ts';
import { bucketOf } from './split-by-hash.ts';

/**
 * Labels of the ConfigMaps, by which llm-d's payload processor and the body-based router of the inference extension
 * find them.
 */
const LABELS = {
  'inference.llm-d.ai/ipp-managed': 'true',
  'inference.networking.k8s.io/bbr-managed': 'true',
};

/**
 * Builds the ConfigMaps that assign adapters to bases. An adapter in no ConfigMap belongs to the first pool, so a move
 * between the first pool and another one only adds the adapter to one ConfigMap or removes it from one. If an adapter
 * changed from one ConfigMap to another, the processors could lose it: when a ConfigMap drops an adapter, they forget
 * the adapter even if another ConfigMap has added it. For that reason the number of ConfigMaps is fixed, and each
 * exists even if it is empty.
 * @throws UsageError if `count` ConfigMaps cannot hold the adapters
 */
export function adapterMaps(common: Common, pools: readonly Pool[], count: number): Manifest[] {
  return movedTo(pools).flatMap(({ pool, moved }) => {
    const buckets = Array.from({ length: count }, (): string[] => []);
    for (const { alias } of moved) buckets[bucketOf(alias, count)]!.push(alias);
    return buckets.map((aliases, index) => mapOf(common, pool, { aliases, part: count === 1 ? '' : String(index) }));
  });
}

function mapOf(common: Common, pool: Pool, { aliases, part }: { aliases: readonly string[]; part: string }): Manifest {
  const manifest: Manifest = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(common, joinName(common.name, pool.name, 'adapters', part), LABELS),
    data: { adapters: listOf(aliases), baseModel: pool.servingName },
  };
  const bytes = jsonBytes(manifest);
  if (bytes <= MAX_OBJECT_BYTES) return manifest;
  throw new UsageError(
    `ConfigMap ${manifest.metadata.name} would have ${bytes} bytes for ${aliases.length} adapters, ` +
      `where ${MAX_OBJECT_BYTES} are the most that kubectl can apply: give a larger number by --config-maps`,
  );
}

/** Formats aliases as the YAML list that processors read. Aliases contain no character that needs escaping. */
function listOf(aliases: readonly string[]): string {
  return aliases.length === 0 ? '[]' : aliases.map((alias) => `- "${alias}"\n`).join('');
}
