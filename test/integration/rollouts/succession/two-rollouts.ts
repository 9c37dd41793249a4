import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { withTransaction, type Database, type Transaction } from '../../../../src/platform/database/database.ts';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createJobLifecycle } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import type { Lease } from '../../../../src/fleet/job-control/job-lifecycle.repository.ts';
import {
  createRollout,
  createRolloutLifecycle,
  type RolloutOptions,
  type StoredOptions,
} from '../../../../src/fleet/rollouts/index.ts';
import { insertAdapterVersion } from '../../../../src/fleet/adapters/index.ts';
import type { JobEntry, JobProducer } from '../../../../src/platform/queue/index.ts';
import type { Fleet } from '../../queue/fleet.ts';

type Planner = Pick<JobProducer, 'enqueueAfterCommit' | 'remove'>;

/** Gets what a page has planned; a test may fail here as a process that dies. */
export type OnPage = (entries: readonly JobEntry[]) => Promise<void>;

/** Adds a base model version that is newer than those of the fleet. @returns its identifier */
export async function addBase(db: Database, { baseModelId, folder }: Fleet, version = 'v3'): Promise<string> {
  const id = newId('baseModelVersion');
  const base = path.join(folder, version);
  await mkdir(base);
  await writeFile(path.join(base, 'behavior.json'), '{}');
  await db.baseModelVersion.create({
    data: { id, baseModelId, version, path: base, servingName: `served/${version}` },
  });
  return id;
}

export async function accept(db: Database, baseModelVersionId: string, options: RolloutOptions = {}): Promise<string> {
  const { rollout } = await withTransaction(db, (tx) => createRollout(tx, { baseModelVersionId, options }));
  return rollout.id;
}

/** What plans: pages of 1,000 jobs unless it says otherwise. */
interface PlanOptions {
  readonly db: Database;
  readonly producer: Planner;
  readonly onPage?: OnPage;
  readonly pageSize?: number;
}

/** Plans a rollout as a worker does, whose device another job may have. @returns the number of its jobs */
export async function plan({ db, producer, onPage, pageSize }: PlanOptions, id: string): Promise<number | null> {
  const lifecycle = createRolloutLifecycle({ db, pageSize });
  // A worker gets it from the queue. What is left in the outbox would be found by the first sweep that comes two seconds later.
  await db.outboxEntry.deleteMany({ where: { queue: 'rollouts', jobId: id } });
  const { baseModelVersionId, options } = (await lifecycle.beginAnalysis(id))!;
  const rollout = { id, baseModelVersionId, options: options as StoredOptions };
  return lifecycle.plan(rollout, new Map(), async (entries, superseded) => {
    await producer.enqueueAfterCommit(entries);
    await producer.remove('adaptations', superseded);
    await onPage?.(entries);
  });
}

/** Begins a job as a worker does. Nobody renews its lease, so that lasts longer than any test. */
export async function claim(db: Database, jobId: string): Promise<Lease> {
  const lease = { jobId, owner: newId('job') };
  expect(await createJobLifecycle({ db, leaseMs: 3_600_000 }).claim(lease)).not.toBeNull();
  return lease;
}

/** Imports another adapter like the others of the fleet. @returns its identifier */
export function importAdapter(db: Database, fleet: Fleet): Promise<string> {
  return withTransaction(db, (tx) => importWithin(tx, fleet));
}

/** The same within a transaction. */
export async function importWithin(tx: Transaction, { adapters, oldVersionId }: Fleet): Promise<string> {
  const first = adapters[0]!;
  const { id: _, name: __, gate, labels, ...like } = await tx.adapter.findFirstOrThrow({ where: { id: first } });
  const { tenantId, artifactDigest, rank, loraAlpha } = await tx.adapterVersion.findFirstOrThrow({
    where: { adapterId: first, number: 1 },
  });
  const id = newId('adapter');
  await tx.adapter.create({ data: { ...like, id, name: id, gate: gate as object, labels: labels as object } });
  const row = { id: newId('adapterVersion'), tenantId, adapterId: id, baseModelVersionId: oldVersionId };
  await insertAdapterVersion(tx, { ...row, origin: 'imported', artifactDigest, rank, loraAlpha });
  return id;
}
