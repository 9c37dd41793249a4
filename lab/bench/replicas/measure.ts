import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFilesystemStore } from '../../../src/platform/artifacts/index.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createFleet } from '../service/fleet.ts';
import { residentBytes, startProcess, transactions, type BenchProcess, type BenchStack } from '../service/stack.ts';
import type { ReplicaBenchOptions } from './options.ts';
import type { EnginesRequest } from '../replicas/processes/engines-process.ts';

/** Cost of a reconciler over some time: seconds, and processor time in milliseconds. */
export interface CostFigures {
  readonly seconds: number;
  readonly reconcilerCpuMs: number;
  readonly databaseCpuMs: number;
}

export interface ReplicaBenchFigures {
  readonly replicas: number;
  readonly adapters: number;
  /** Filling of empty engines, with the number of adapters that were loaded by name and alias, and checked. */
  readonly filling: CostFigures & { readonly loaded: number };
  /** Start of a reconciler until all replicas, which have all adapters already, are in sync. */
  readonly comparing: CostFigures;
  readonly idle: CostFigures & { readonly transactions: number; readonly residentBytes: number };
  /** Milliseconds from the commit of a new version until its alias has moved in all replicas. */
  readonly changeMs: number;
}

const SERVING_NAME = 'bench';
const PREFIX = '/adapters';
/** Wait until PostgreSQL has counted all transactions, which it does within ten seconds, in milliseconds. */
const COUNTED_MS = 11_000;
const ROW = { prompt: 'Which of these is a plural?', completion: 'cities', split: 'gate' };

export async function measureReplicas(
  stack: BenchStack,
  { replicas, adapters, loadSeconds, seconds }: ReplicaBenchOptions,
  say: (line: string) => void,
): Promise<ReplicaBenchFigures> {
  const { db } = stack;
  const base = (await createFleet(db, adapters)).oldVersionId;
  const store = path.join(stack.folder, 'artifacts');
  await giveGateRows(stack, store);
  const engines = startProcess('../replicas/processes/engines-process.ts', {}, [String(replicas), SERVING_NAME]);
  const start = () => startProcess('../replicas/processes/reconciler-process.ts', {}, [stack.databaseUrl, store]);
  const started: BenchProcess[] = [engines];
  try {
    await addReplicas(stack, base, await engines.next<string[]>());
    say(`filling ${replicas} replicas with ${adapters} adapters for up to ${loadSeconds} s`);
    const first = start();
    started.push(first);
    await first.next();
    const filling = await measure(stack, first, () => allInSync(stack, loadSeconds));
    await first.stop();
    const loaded = await countLoaded(stack);
    await fillDirectly(stack, engines);
    say('comparing them, with all adapters loaded');
    const second = start();
    started.push(second);
    await second.next();
    const comparing = await measure(stack, second, () => allInSync(stack, 300));
    say(`looking at them for ${seconds} s while nothing happens`);
    const idle = await measureIdle(stack, second, seconds);
    say('changing one adapter');
    const changeMs = await measureChange(stack, engines);
    return { replicas, adapters, filling: { ...filling, loaded }, comparing, idle, changeMs };
  } finally {
    for (const one of started.reverse()) await one.stop();
  }
}

async function giveGateRows({ db }: BenchStack, store: string): Promise<void> {
  const artifacts = await createFilesystemStore(store);
  const text = `${JSON.stringify(ROW)}\n`.repeat(20);
  const { digest } = await artifacts.putFile(bytesOf(text), 'dataset');
  await db.dataset.updateMany({ data: { artifactDigest: digest } });
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function addReplicas({ db }: BenchStack, baseModelVersionId: string, urls: readonly string[]): Promise<void> {
  const settings = { engine: 'vllm', pathPrefix: PREFIX, maxAdapters: 20_000, aliases: true, check: 'gate_prompt' };
  const common = { ...settings, baseModelVersionId, tenantIds: [], labels: {}, unloadAfterMs: 600_000 };
  await db.replica.createMany({
    data: urls.map((url, n) => ({ ...common, id: newId('replica'), name: `replica-${n}`, url })),
  });
}

async function measure(stack: BenchStack, process: BenchProcess, work: () => Promise<void>): Promise<CostFigures> {
  const [own, database] = [await process.cpuMs(), await stack.databaseCpuMs()];
  const began = performance.now();
  await work();
  return {
    seconds: (performance.now() - began) / 1000,
    reconcilerCpuMs: (await process.cpuMs()) - own,
    databaseCpuMs: (await stack.databaseCpuMs()) - database,
  };
}

/** Waits until all replicas are in sync, at most for the given seconds. */
async function allInSync({ db }: BenchStack, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end && (await db.replica.count({ where: { state: { not: 'in_sync' } } })) > 0)
    await sleep(100);
}

const countLoaded = ({ db }: BenchStack): Promise<number> => db.replicaAdapter.count({ where: { state: 'loaded' } });

/** Puts all adapters into all engines, and marks them as loaded in the database. */
async function fillDirectly({ db }: BenchStack, engines: BenchProcess): Promise<void> {
  const rows = await db.$queryRaw<{ alias: string }[]>`
    SELECT t.name || '.' || a.name AS alias FROM adapters a JOIN tenants t ON t.id = a.tenant_id ORDER BY a.id`;
  await tell(engines, {
    fill: rows.flatMap(({ alias }) =>
      [`${alias}@1`, alias].map((name): [string, string] => [name, `${PREFIX}/${alias}@1`]),
    ),
  });
  await db.replicaAdapter.deleteMany();
  await db.$executeRaw`
    INSERT INTO replica_adapters
      (id, replica_id, tenant_id, adapter_id, adapter_version_id, loaded_version_id, engine_name, state, checked_at)
    SELECT 'rpa_' || gen_random_uuid(), r.id, a.tenant_id, a.id, v.id, v.id,
      t.name || '.' || a.name || '@1', 'loaded', now()
    FROM replicas r, adapters a JOIN tenants t ON t.id = a.tenant_id JOIN adapter_versions v ON v.adapter_id = a.id`;
  await db.replica.updateMany({ data: { state: 'syncing', nextTurnAt: new Date(0), resyncAt: new Date(0) } });
  await db.$executeRaw`ANALYZE`;
}

async function tell<T>(engines: BenchProcess, request: EnginesRequest): Promise<T> {
  const answered = engines.next<T>();
  engines.send(request);
  return answered;
}

async function measureIdle(stack: BenchStack, reconciler: BenchProcess, seconds: number) {
  await sleep(COUNTED_MS);
  const before = await transactions(stack);
  const cost = await measure(stack, reconciler, () => sleep(seconds * 1000));
  // PostgreSQL counts late at the start and at the end alike, so that the difference is right.
  const counted = (await transactions(stack)) - before;
  return { ...cost, transactions: counted, residentBytes: await residentBytes(reconciler.pid) };
}

async function measureChange({ db }: BenchStack, engines: BenchProcess): Promise<number> {
  const [row] = await db.$queryRaw<[{ alias: string }]>`
    INSERT INTO adapter_versions
      (id, tenant_id, adapter_id, base_model_version_id, number, origin, artifact_digest, rank, lora_alpha)
    SELECT 'adv_' || gen_random_uuid(), v.tenant_id, v.adapter_id, v.base_model_version_id, 2, 'imported', 'none', 8, 16
    FROM adapter_versions v ORDER BY v.id LIMIT 1
    RETURNING (
      SELECT t.name || '.' || a.name FROM adapters a JOIN tenants t ON t.id = a.tenant_id WHERE a.id = adapter_id
    ) AS alias`;
  const began = performance.now();
  for (;;) {
    const paths = await tell<(string | null)[]>(engines, { pathOf: row.alias });
    if (paths.every((one) => one === `${PREFIX}/${row.alias}@2`)) return performance.now() - began;
    await sleep(50);
  }
}
