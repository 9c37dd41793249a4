import { cp } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { tasteDataset } from '../../unit/training/support/tiny-task.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

/** Adapters of the fleet: one with prompts alone, one with completions that no version produces. */
const [PROMPTS, COMPLETIONS] = [0, 1];

let fleet: TinyFleet;
/** Base version equal to the old one, and base version with different answers. */
let equal: string;
let other: string;

/** Rows of all splits, without completions if `promptsOnly`. */
function rows(promptsOnly: boolean) {
  return tasteDataset({ training: 32, search: 16, gate: 32 }).map(({ prompt, split }) => ({
    prompt,
    ...(!promptsOnly && { completion: ' bitter' }),
    split,
  }));
}

beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 2 });
  const { db, family } = fleet;
  equal = fleet.newVersionId;
  const folder = path.join(family.folder, 'equal');
  await cp(family.oldBase, folder, { recursive: true });
  const { baseModelId } = await db.baseModelVersion.update({ where: { id: equal }, data: { path: folder } });
  other = newId('baseModelVersion');
  await db.baseModelVersion.create({
    data: { id: other, baseModelId, version: '3', path: family.newBase, servingName: family.newBase },
  });
  await db.adapter.updateMany({ data: { metric: 'exact_match', gate: { kind: 'relative', margin: 0.2 } } });
  await fleet.replaceData(PROMPTS, rows(true));
  await fleet.replaceData(COMPLETIONS, rows(false));
  await fleet.startWorker();
});
afterAll(() => fleet.close());

async function roll(to: string) {
  const jobs = await fleet.roll({ strategy: 'reuse', max_new_tokens: 6 }, to);
  const adapters = await fleet.db.adapter.findMany({ orderBy: { name: 'asc' } });
  return adapters.map(({ id }) => jobs.find(({ adapter_id }) => adapter_id === id)!);
}

const versionsOf = (adapterId: string) =>
  fleet.db.adapterVersion.findMany({
    where: { adapterId },
    orderBy: { number: 'asc' },
    include: { gateOutcomes: true },
  });

test('an adapter with prompts alone is certified by its agreement with the old version', async () => {
  const [prompts, completions] = await roll(equal);
  expect(prompts).toMatchObject({
    state: 'ready',
    metric: { name: 'exact_match', anchor: 1, old: 1, best: 1, target: 0.8 },
    certificate: { verdict: 'passed', margin: 0.2, rows: 32 },
    warnings: [expect.stringContaining('answers of the old version do not end within 6 tokens')],
  });
  // The same versions on rows with completions that none of them produces.
  expect(completions).toMatchObject({ metric: { old: 0, best: 0 } });
  const [, published] = await versionsOf(prompts!.adapter_id);
  expect(published).toMatchObject({ number: 2, gateOutcomes: { value: 1 } });
});

test('a version that disagrees is held, and the imported version still counts on a later rollout', async () => {
  const [prompts] = await roll(other);
  const [imported] = await versionsOf(prompts!.adapter_id);
  expect(prompts).toMatchObject({
    state: 'not_ready',
    anchor_version_id: imported!.id,
    metric: { anchor: 1, old: 1 },
    error: { code: 'gate_not_reached' },
  });
  expect(prompts!.metric.best).toBeLessThan(0.8);
  expect(await versionsOf(prompts!.adapter_id)).toHaveLength(2);
});

test('a version is not measured on prompts alone before a rollout', async () => {
  const { db } = fleet;
  const { adapterId, tenantId } = await db.adapterVersion.findFirstOrThrow({
    where: { adapter: { dataset: { promptsOnly: true } } },
  });
  const [imported] = await versionsOf(adapterId);
  await db.outcomeRequest.create({ data: { adapterVersionId: imported!.id, tenantId } });
  await expect.poll(() => db.outcomeRequest.count()).toBe(0);
  expect(imported!.gateOutcomes).toBeNull();
  expect(await db.event.count({ where: { type: 'adapter_version.not_measured' } })).toBe(0);
});
