import { jsonBytes, MAX_OBJECT_BYTES, metadataOf, type Common, type Manifest } from './manifest.ts';
import { partName } from './object-names.ts';
import { sorted, type Pool } from './pools.ts';
import { splitByHash } from './split-by-hash.ts';

/**
 * API groups that define InferenceModelRewrite: the inference extension up to its version 1.5, and llm-d since then.
 */
export type RewriteApi = 'inference.networking.x-k8s.io/v1alpha2' | 'llm-d.ai/v1alpha2';

/**
 * Builds the InferenceModelRewrites of a pool: for each adapter, a rule that replaces the alias in a request by the
 * name of the adapter version that is current on this pool. An adapter that has moved to another pool keeps its rule on
 * this pool, because its requests come back after a rollback.
 */
export function rewritesOf(common: Common, pool: Pool, apiVersion: RewriteApi): Manifest[] {
  const rules = sorted(pool.served).map(({ alias, name }) => ({
    matches: [{ model: { type: 'Exact', value: alias } }],
    targets: [{ modelRewrite: name, weight: 1 }],
  }));
  const parts = splitByHash(rules, {
    keyOf: ({ matches: [match] }) => match!.model.value,
    fits: (part) => jsonBytes(part) <= MAX_OBJECT_BYTES - ROOM,
  });
  return parts.map(({ prefix, items }) => ({
    apiVersion,
    kind: 'InferenceModelRewrite',
    metadata: metadataOf(common, partName(common.name, pool.name, prefix)),
    spec: {
      poolRef: { group: 'inference.networking.k8s.io', kind: 'InferencePool', name: pool.name },
      rules: items,
    },
  }));
}

/** Bytes reserved for the parts of an object besides its rules, with room to spare. */
const ROOM = 4096;
