import type { Pool } from '../../../../cli/kubernetes/pools.ts';
import type { ServedVersion } from '../../../../cli/remote/client.ts';

/** Version of an adapter of the tenant `acme`, as the service returns it. */
export function version(adapter: string, number: number, base: string): ServedVersion {
  return {
    ...{ adapter_id: `adp_${adapter}`, tenant_id: 'ten_acme', base_model_version_id: `bmv_${base}` },
    ...{ base_model_fingerprint: null, serving_name: `acme/${base}`, alias: `acme.${adapter}` },
    ...{
      name: `acme.${adapter}@${number}`,
      adapter_version_id: `adv_${adapter}_${number}`,
      number,
      provisional: false,
    },
    ...{
      rank: 8,
      digest: `sha256:${String(number).padStart(64, '0')}`,
      bytes: 1,
      changed_at: '2026-11-28T00:00:00.000Z',
    },
    download: `/v1/adapters/adp_${adapter}/versions/adv_${adapter}_${number}/download`,
    files: `/v1/adapters/adp_${adapter}/versions/adv_${adapter}_${number}/files`,
  };
}

/** Pool `llama-BASE`, with these versions of these adapters. */
export function pool(base: string, numbers: Readonly<Record<string, number>>): Pool {
  const served = Object.entries(numbers).map(([adapter, number]) => version(adapter, number, base));
  return { name: `llama-${base}`, servingName: `acme/${base}`, served };
}

/** Pool with `size` adapters. */
export function fleet(base: string, size: number, number = 1): Pool {
  return pool(base, Object.fromEntries(Array.from({ length: size }, (_, index) => [`adapter-${index}`, number])));
}
