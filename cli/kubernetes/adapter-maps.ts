import { UsageError } from '../process/errors.ts';
import { jsonBytes, MAX_OBJECT_BYTES, metadataOf, type Common, type Manifest } from './manifest.ts';
import { joinName } from './object-names.ts';
import { movedTo, type Pool } from './pools.ts';
import { bucketOf } from './split-by-hash.ts';

/** By these, llm-d's payload processor and the body-based router of the inference extension find the ConfigMaps that are meant for them. */
const LABELS = {
  'inference.llm-d.ai/ipp-managed': 'true',
  'inference.networking.k8s.io/bbr-managed': 'true',
};

/**
 * Which base serves an adapter, for all pools but the first: what is in no ConfigMap goes there. So an adapter that moves is added to one
 * ConfigMap or taken out of one, and never moves between two. The processors would lose it then: taking it out of the one deletes what the
 * other has said. For the same reason their number is fixed, and each exists even if it is empty.
 * @throws UsageError if so many cannot hold the adapters
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
    `ConfigMap ${manifest.metadata.name} would have ${bytes} bytes for ${aliases.length} adapters, where ${MAX_OBJECT_BYTES} are the most ` +
      'that kubectl can apply: give a larger number by --config-maps',
  );
}

/** Processors read a YAML list. Aliases hold nothing that a quoted string would have to escape. */
function listOf(aliases: readonly string[]): string {
  return aliases.length === 0 ? '[]' : aliases.map((alias) => `- "${alias}"\n`).join('');
}
