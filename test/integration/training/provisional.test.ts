import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readAdapterManifest, verifyAdapterFiles } from '../../../core/formats/peft/adapter-manifest.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

let fleet: TinyFleet;

beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 1 });
  await fleet.startWorker();
});
afterAll(() => fleet.close());

test('a provisional version is the adapter that a job measures as its revert, without a measurement', async () => {
  const [job] = await fleet.roll({ strategy: 'revert', policy: { provisional: 'revert' } });
  expect(job).toMatchObject({ state: 'not_ready', published_version_id: null });
  const version = await fleet.db.adapterVersion.findFirstOrThrow({ where: { provisional: true } });
  const made = await fleet.artifacts.localPath(version.artifactDigest);
  await verifyAdapterFiles(made);
  expect(await readAdapterManifest(made)).toMatchObject({
    provisional: true,
    strategy: 'revert',
    coefficients: { alpha: 1, beta: -1 },
    parent: version.parentVersionId,
    metrics: {},
  });
  const config = JSON.parse(await readFile(path.join(made, 'adapter_config.json'), 'utf8')) as object;
  expect(config).toMatchObject({ base_model_name_or_path: 'served/v2', r: version.rank });
  const { candidate_digest: digest } = job!.error as unknown as { candidate_digest: string };
  const judged = await fleet.artifacts.localPath(digest);
  const weights = (folder: string) => readFile(path.join(folder, 'adapter_model.safetensors'));
  expect((await weights(made)).equals(await weights(judged))).toBe(true);
  expect(await readAdapterManifest(judged)).not.toHaveProperty('provisional');
});
