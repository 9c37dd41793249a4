import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createFilesystemStore, registerArtifact } from '../../../src/platform/artifacts/index.ts';
import type { ArtifactStore } from '../../../src/platform/artifacts/artifact-store.ts';
import { withTransaction, type Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';

/** Script of the training process: it reads this as `behavior.json` in the folder of the new base. */
export interface Behavior {
  /** End of each adaptation. A refused one fails before its first phase, which takes the least time. */
  outcome?: 'ready' | 'not_ready' | 'refused' | 'permanent' | 'transient';
  /** Waits in fine-tuning until the job is cancelled. */
  hang?: boolean;
  /** Waits in fine-tuning until this file exists. */
  until?: string;
  /** Ignores the cancellation. */
  deaf?: boolean;
  /** File that makes it crash once: if missing, the process creates it and kills itself in fine-tuning. */
  crashOnce?: string;
  /** Failure of a provisional version: `permanent`, or a file that is created as it fails once. Default: none. */
  provisional?: string;
  /** Measures all baselines in the adaptation, so that none is left out. */
  allBaselines?: boolean;
  /** End of the measurement of baselines that jobs have left out. Default: success. */
  baselines?: 'permanent' | 'hang';
  /** End of the measurement of a version on this base. Default: success, once the file of `until` exists. */
  outcomes?: 'permanent' | 'hang';
  /** File to which each request appends its type and job. */
  log?: string;
  /** Number of candidates to publish. */
  publications?: number;
  /**
   * Share of gate rows on which the published version is wrong and its predecessor was right. Default: not compared.
   */
  negativeFlips?: number;
  /** Hidden size of the base. Bases of different sizes are incompatible. */
  hiddenSize?: number;
  fingerprint?: string;
}

export interface Fleet {
  folder: string;
  artifacts: ArtifactStore;
  baseModelId: string;
  oldVersionId: string;
  newVersionId: string;
  tenants: string[];
  adapters: string[];
  /** Sets the behavior for the new base. */
  behave(behavior: Behavior): Promise<void>;
  /** Sets the behavior for the old base. */
  behaveOnOld(behavior: Behavior): Promise<void>;
  remove(): Promise<void>;
}

export interface FleetSize {
  tenants: number;
  adapters: number;
  /** Number of adapters of each tenant, in order. Default: the tenants get them in turn. */
  of?: readonly number[];
}

/** Creates a base model with two versions, and adapters on the first one. */
export async function createFleet(db: Database, size: FleetSize): Promise<Fleet> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-fleet-'));
  const artifacts = await createFilesystemStore(path.join(folder, 'data', 'artifacts'));
  const behaving = (version: string) => (behavior: Behavior) =>
    writeFile(path.join(folder, version, 'behavior.json'), JSON.stringify(behavior));
  const baseModelId = newId('baseModel');
  await db.baseModel.create({ data: { id: baseModelId, name: baseModelId } });
  const versions: string[] = [];
  for (const version of ['v1', 'v2']) {
    await mkdir(path.join(folder, version));
    await writeFile(path.join(folder, version, 'behavior.json'), '{}');
    await writeFile(path.join(folder, version, 'config.json'), '{}');
    const id = newId('baseModelVersion');
    await db.baseModelVersion.create({
      data: { id, baseModelId, version, path: path.join(folder, version), servingName: `served/${version}` },
    });
    versions.push(id);
  }
  const [oldVersionId, newVersionId] = versions as [string, string];
  const bytes = await storeBytes(db, artifacts, folder);
  const tenants = Array.from({ length: size.tenants }, () => newId('tenant'));
  await db.tenant.createMany({ data: tenants.map((id) => ({ id, name: id })) });
  const datasets = tenants.map((tenantId) => ({ id: newId('dataset'), tenantId }));
  await db.dataset.createMany({
    data: datasets.map((dataset) => ({
      ...dataset,
      name: 'data',
      artifactDigest: bytes.dataset,
      rows: 1,
      bytes: 10n,
      splits: { training: 1, search: 0, gate: 0 },
    })),
  });
  const adapters = Array.from({ length: size.adapters }, (_, index) => {
    const owner = datasets[ownerOf(index, size)]!;
    return { id: newId('adapter'), tenantId: owner.tenantId, datasetId: owner.id, name: `adapter-${index}` };
  });
  await db.adapter.createMany({
    data: adapters.map((adapter) => ({
      ...adapter,
      baseModelId,
      metric: 'accuracy',
      gate: { kind: 'absolute', target: 0.8 },
    })),
  });
  await db.adapterVersion.createMany({
    data: adapters.map((adapter) => ({
      id: newId('adapterVersion'),
      tenantId: adapter.tenantId,
      adapterId: adapter.id,
      baseModelVersionId: oldVersionId,
      number: 1,
      origin: 'imported',
      artifactDigest: bytes.adapter,
      rank: 4,
      loraAlpha: 8,
    })),
  });
  return {
    folder,
    artifacts,
    baseModelId,
    oldVersionId,
    newVersionId,
    tenants,
    adapters: adapters.map((adapter) => adapter.id),
    behave: behaving('v2'),
    behaveOnOld: behaving('v1'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Creates another target version for the same fleet. It behaves like the new one does now. */
export async function addVersion(db: Database, fleet: Fleet): Promise<string> {
  const id = newId('baseModelVersion');
  const folder = path.join(fleet.folder, id);
  await cp(path.join(fleet.folder, 'v2'), folder, { recursive: true });
  const data = { id, baseModelId: fleet.baseModelId, version: id, path: folder, servingName: id };
  await db.baseModelVersion.create({ data });
  return id;
}

/** Index of the tenant that owns an adapter. */
function ownerOf(index: number, { tenants, of }: FleetSize): number {
  let before = 0;
  return of === undefined ? index % tenants : of.findIndex((adapters) => index < (before += adapters));
}

async function storeBytes(
  db: Database,
  artifacts: ArtifactStore,
  folder: string,
): Promise<{ dataset: string; adapter: string }> {
  const file = path.join(folder, 'rows.jsonl');
  await writeFile(file, '{"prompt":"a","completion":"b","split":"train"}\n');
  const adapterDir = path.join(folder, 'adapter');
  await mkdir(adapterDir);
  await writeFile(
    path.join(adapterDir, 'adapter_config.json'),
    '{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["q_proj"]}',
  );
  const dataset = await artifacts.putFile(file, 'dataset');
  const adapter = await artifacts.putFolder(adapterDir, 'adapter');
  await withTransaction(db, async (tx) => {
    await registerArtifact(tx, artifacts, dataset);
    await registerArtifact(tx, artifacts, adapter);
  });
  return { dataset: dataset.digest, adapter: adapter.digest };
}
