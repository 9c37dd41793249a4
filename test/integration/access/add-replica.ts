import type { Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';

/** Adds a replica of a serving engine, holding an adapter of the tenant if one is given. @returns its identifier */
export async function addReplica(db: Database, tenantId: string | null): Promise<string> {
  const { id: baseModelVersionId } = await db.baseModelVersion.findFirstOrThrow();
  const id = newId('replica');
  const name = id.slice(-12);
  const settings = { engine: 'vllm', pathPrefix: '/adapters', maxAdapters: 10, aliases: true, check: 'none' };
  const url = `https://${name}.example.com`;
  await db.replica.create({ data: { ...settings, id, name, url, baseModelVersionId, labels: {}, unloadAfterMs: 0 } });
  const adapter = { id: newId('replicaAdapter'), replicaId: id, tenantId, engineName: 'acme.main@1', state: 'loaded' };
  if (tenantId !== null) await db.replicaAdapter.create({ data: adapter });
  return id;
}
