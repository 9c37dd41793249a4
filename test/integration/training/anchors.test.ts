import { cp } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { writeSafetensors } from '../../../core/formats/safetensors/safetensors-writer.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { toAdapterVersion } from '../../../src/fleet/adapters/index.ts';
import { eventually } from '../../eventually.ts';
import { tasteDataset } from '../../unit/training/support/tiny-task.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

/** Adapters of the fleet, by what happens to them between the second and the third version. */
const [PLAIN, COLLECTED, OTHER_ROWS, COLLECTED_WITH_OTHER_ROWS] = [0, 1, 2, 3];
/** Factor of a version's logits over the previous version's. The loss of an untrained adapter grows with them. */
const GROWTH = 1.1;

let fleet: TinyFleet;
let adapters: string[];
/** Identifiers of the base model versions after the first. */
let newer: string[];
/** Losses of the unchanged adapter per version, in order. */
let losses: number[];
let margin: number;

beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 4 });
  const { db, family } = fleet;
  adapters = (await db.adapter.findMany({ orderBy: { name: 'asc' } })).map(({ id }) => id);
  const { baseModelId } = await db.baseModelVersion.findUniqueOrThrow({ where: { id: fleet.newVersionId } });
  const folders = [family.oldBase];
  newer = [fleet.newVersionId];
  for (const version of ['2', '3', '4'])
    folders.push(await grow(folders.at(-1)!, path.join(family.folder, `grown-${version}`)));
  await db.baseModelVersion.update({ where: { id: fleet.newVersionId }, data: { path: folders[1]! } });
  for (const version of ['3', '4']) {
    const [id, folder] = [newId('baseModelVersion'), folders[Number(version) - 1]!];
    await db.baseModelVersion.create({ data: { id, baseModelId, version, path: folder, servingName: folder } });
    newer.push(id);
  }
  losses = await lossesOn(folders);
  const steps = losses.slice(1).map((loss, index) => loss - losses[index]!);
  expect(Math.min(...steps)).toBeGreaterThan(0);
  // Each version loses less than the margin, and two together lose more.
  margin = 1.15 * Math.max(...steps);
  expect(steps[0]! + steps[1]!).toBeGreaterThan(1.2 * margin);
  await db.adapter.updateMany({ data: { gate: { kind: 'relative', margin } } });
  await fleet.startWorker();
});
afterAll(() => fleet.close());

/** Writes a version of a base with larger logits. @returns its folder */
async function grow(from: string, to: string): Promise<string> {
  await cp(from, to, { recursive: true });
  const { weights } = await loadBaseModel(from);
  const grown = [...weights].map(([name, { shape, data }]) => {
    return [
      name,
      {
        shape,
        data: name.endsWith('model.norm.weight') || name === 'norm.weight' ? data.map((x) => x * GROWTH) : data,
      },
    ] as const;
  });
  await writeSafetensors(path.join(to, 'model.safetensors'), new Map(grown));
  return to;
}

/** Measures the losses in the training process, which has the bases in memory from then on. */
async function lossesOn(folders: readonly string[]): Promise<number[]> {
  const { artifactDigest } = await fleet.db.dataset.findFirstOrThrow();
  const task = { data: { file: await fleet.artifacts.localPath(artifactDigest) }, metric: 'loss' } as const;
  const spec = { ...task, adapter: fleet.family.adapter, gate: { kind: 'relative', margin: 0 } } as const;
  const { signal } = new AbortController();
  const slot = await fleet.training.acquire(signal);
  const found: number[] = [];
  for (const base of folders) found.push((await slot.outcomes({ ...spec, base }, signal)).outcomes!.value);
  slot.release();
  return found;
}

const versionsOf = (adapter: number) =>
  fleet.db.adapterVersion.findMany({
    where: { adapterId: adapters[adapter]! },
    orderBy: { number: 'asc' },
    include: { gateOutcomes: true },
  });

async function roll(to: number) {
  const jobs = await fleet.roll({ strategy: 'reuse' }, newer[to]);
  return adapters.map((id) => jobs.find(({ adapter_id }) => adapter_id === id)!);
}

/** Rows that differ from the fleet's initial ones. */
const OTHER_DATASET = tasteDataset({ training: 0, search: 16, gate: 32, from: 2000 });

test('the first rollout counts from the imported version, which is the one that is carried over', async () => {
  for (const [adapter, job] of (await roll(0)).entries()) {
    const [imported] = await versionsOf(adapter);
    expect(job).toMatchObject({ state: 'ready', anchor_version_id: imported!.id });
    expect(job.metric.anchor).toBeCloseTo(losses[0]!, 6);
    expect(job.metric.old).toBe(job.metric.anchor);
  }
});

const CHAIN_OF_LOSSES =
  'a chain of three versions that each lose nearly a margin fails at the third, also when the imported one is gone';
test(CHAIN_OF_LOSSES, async () => {
  const { db } = fleet;
  for (const adapter of [COLLECTED, COLLECTED_WITH_OTHER_ROWS]) {
    const [imported] = await versionsOf(adapter);
    await db.adapterVersion.delete({ where: { id: imported!.id } });
  }
  for (const adapter of [OTHER_ROWS, COLLECTED_WITH_OTHER_ROWS]) await fleet.replaceData(adapter, OTHER_DATASET);
  const jobs = await roll(1);
  const whole = losses[0]! + margin;
  for (const adapter of [PLAIN, COLLECTED]) {
    const job = jobs[adapter]!;
    expect(job).toMatchObject({ state: 'not_ready', warnings: [], error: { code: 'gate_not_reached' } });
    expect(job.metric.anchor).toBeCloseTo(losses[0]!, 6);
    expect(job.metric.target).toBeCloseTo(whole, 6);
    expect(job.metric.best).toBeCloseTo(losses[2]!, 6);
    expect(job.metric.old).toBeCloseTo(losses[1]!, 6);
  }
  // On other rows the imported version is measured anew.
  const [imported] = await versionsOf(OTHER_ROWS);
  expect(jobs[OTHER_ROWS]).toMatchObject({ state: 'not_ready', warnings: [], anchor_version_id: imported!.id });
  expect(jobs[OTHER_ROWS]!.metric.anchor).toBe(imported!.gateOutcomes!.value);
  expect(imported!.gateOutcomes!.value).not.toBeCloseTo(losses[0]!, 3);
  const kept = await db.anchorOutcomes.findUniqueOrThrow({ where: { anchorVersionId: imported!.id } });
  expect(kept).toMatchObject({ digest: imported!.gateOutcomes!.digest, value: imported!.gateOutcomes!.value });
});

const ANCHOR_GIVES_WAY =
  'an anchor that cannot be measured on other rows gives way to the last version, which is said, ' +
  'and the next count from that';
test(ANCHOR_GIVES_WAY, async () => {
  const { db } = fleet;
  const [second, third] = await versionsOf(COLLECTED_WITH_OTHER_ROWS);
  const adapterId = adapters[COLLECTED_WITH_OTHER_ROWS]!;
  const job = await db.job.findFirstOrThrow({ where: { adapterId, rollout: { baseModelVersionId: newer[1]! } } });
  expect(job).toMatchObject({ state: 'ready', anchorVersionId: second!.id });
  expect(job.warnings).toEqual([
    'the margin counts from version 2, which is carried over, and not from version 1, which was imported: its ' +
      'outcomes on these gate rows are not known, and its files or its base are gone',
  ]);
  expect(third).toMatchObject({ number: 3, anchorVersionId: second!.id });
  const moved = await db.event.findMany({ where: { subjectId: adapterId, type: 'adapter.anchor_moved' } });
  expect(moved.map(({ data }) => data)).toEqual([
    { version_id: third!.id, anchor_version_id: second!.id, from: second!.anchorVersionId },
  ]);
  // The other adapters are not needed any more.
  const others = adapters.filter((id) => id !== adapterId);
  await db.adapter.updateMany({ where: { id: { in: others } }, data: { deletedAt: new Date() } });
  const next = await fleet.begin({ strategy: 'reuse' }, newer[2]);
  const [ended] = await eventually('its job has ended', async () => {
    const jobs = await fleet.jobs(next);
    return jobs.length === 1 && jobs[0]!.finished_at !== null && jobs;
  });
  expect(ended).toMatchObject({ state: 'not_ready', anchor_version_id: second!.id, warnings: [] });
  expect(ended!.metric.anchor).toBe(job.metricAnchor);
});

test('versions show how far the chain has moved', async () => {
  const [first, second] = (await versionsOf(PLAIN)).map(toAdapterVersion);
  expect(first).toMatchObject({ number: 1, anchor: null, metrics: null });
  expect(first!.gate_value).toBeCloseTo(losses[0]!, 6);
  expect(second).toMatchObject({ number: 2, anchor: { version_id: first!.id, number: 1, value: first!.gate_value } });
  expect(second!.anchor!.difference).toBe(second!.gate_value! - first!.gate_value!);
  expect(second!.metrics).not.toHaveProperty('anchor');
});
