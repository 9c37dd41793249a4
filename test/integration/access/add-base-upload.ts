import type { Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';

const FILES = ['config.json', 'model.safetensors'].map((name) => ({ name, size: 2, sha256: '0'.repeat(64) }));

/** Body of the request that starts an upload. */
export const BASE_UPLOAD = { files: FILES };

/** Adds an upload of a base model, with all its parts if `isWhole`. @returns its identifier */
export async function addBaseUpload(db: Database, isWhole: boolean): Promise<string> {
  const id = newId('baseModelUpload');
  const artifactDigest = `sha256:${'0'.repeat(64)}`;
  await db.baseModelUpload.create({
    data: { id, filesDigest: artifactDigest, bytes: 4, partBytes: 1024, files: { createMany: { data: FILES } } },
  });
  if (!isWhole) return id;
  await db.artifact.upsert({
    where: { digest: artifactDigest },
    create: { digest: artifactDigest, kind: 'base_part', bytes: 2 },
    update: {},
  });
  await db.baseModelUploadPart.createMany({
    data: FILES.map(({ name: fileName }) => ({ uploadId: id, fileName, number: 1, artifactDigest })),
  });
  return id;
}
