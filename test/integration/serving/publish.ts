import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { insertAdapterVersion } from '../../../src/fleet/adapters/adapter.repository.ts';
import type { TestApp } from '../support/index.ts';

/**
 * Publishes another version of an adapter on a base model version, like an import, with the files of its first version.
 */
export async function publish(
  { db }: Pick<TestApp, 'db'>,
  adapterId: string,
  baseModelVersionId: string,
  digest?: string,
) {
  const { artifactDigest, tenantId } = await db.adapterVersion.findFirstOrThrow({ where: { adapterId } });
  return withTransaction(db, (tx) =>
    insertAdapterVersion(tx, {
      ...{ id: newId('adapterVersion'), tenantId, adapterId, baseModelVersionId },
      ...{ origin: 'imported', artifactDigest: digest ?? artifactDigest, rank: 4, loraAlpha: 8 },
    }),
  );
}
