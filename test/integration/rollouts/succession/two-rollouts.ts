import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import { withTransaction, type Database, type Transaction } from '../../../../src/platform/database/database.ts';
import { newId } from '../../../../src/platform/contract/ids.ts';
import { createJobLifecycle } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import type { JobLease } from '../../../../src/fleet/job-control/job-lifecycle.repository.ts';
import {
  createRollout,
  createRolloutLifecycle,
  type RolloutOptions,
  type StoredOptions,
} from '../../../../src/fleet/rollouts/index.ts';
import { insertAdapterVersion } from '../../../../src/fleet/adapters/index.ts';
import type { QueueEntry, QueueProducer } from '../../../../src/platform/queue/index.ts';
import type { Fleet } from '../../queue/fleet.ts';

type Planner = Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'>;

/** Callback with the entries of a planned page. It may throw, like a process that dies. */
export type OnPage = (entries: readonly QueueEntry[]) => Promise<void>;

/** Adds a base model version newer than those of the fleet. @returns its identifier */
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

/** Dependencies of the planning. The default page size is 1,000 jobs. */
interface PlanOptions {
  readonly db: Database;
  readonly producer: Planner;
  readonly onPage?: OnPage;
  readonly pageSize?: number;
}

/** Plans a rollout like a worker whose device may be in use by another job. @returns the number of its jobs */
export async function plan({ db, producer, onPage, pageSize }: PlanOptions, id: string): Promise<number | null> {
  const lifecycle = createRolloutLifecycle({ db, pageSize });
  // A worker would take the entry from the queue. Left in the outbox, it would be found by the first sweep two seconds
  // later.
  await db.outboxEntry.deleteMany({ where: { queue: 'rollouts', jobId: id } });
  const { baseModelVersionId, options } = (await lifecycle.beginAnalysis(id))!;
  const rollout = { id, baseModelVersionId, options: options as StoredOptions };
  return lifecycle.plan(rollout, new Map(), async (entries, superseded) => {
    await producer.enqueueAfterCommit(entries);
    await producer.remove('adaptations', superseded);
    await onPage?.(entries);
  });
}

/** Starts a job like a worker. Nobody renews its lease, so it lasts longer than any test. */
export async function claim(db: Database, jobId: string): Promise<JobLease> {
  const lease = { jobId, owner: newId('job') };
  expect(await createJobLifecycle({ db, leaseMs: 3_600_000 }).claim(lease)).not.toBeNull();
  return lease;
}

/** Imports another adapter like those of the fleet. @returns its identifier */
export function importAdapter(db: Database, fleet: Fleet): Promise<string> {
  return withTransaction(db, (tx) => importWithin(tx, fleet));
}

/** Imports another adapter within a transaction. @returns its identifier */
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
