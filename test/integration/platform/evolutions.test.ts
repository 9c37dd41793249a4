import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Value } from 'typebox/value';
import { analyzeVersions, summarizeAnalysis } from '../../../core/method/evolution/analysis/version-analysis.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { EvolutionResource } from '../../../src/fleet/evolutions/evolution.schemas.ts';
import { createTestApp, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';

const FAMILY = path.resolve('examples/demo-family');

let service: TestApp;
let acme: TestTenant;
const versions: string[] = [];
let analyzed: string;

beforeAll(async () => {
  service = await createTestApp();
  acme = await createTestTenant(service.db, 'acme');
  const baseModelId = newId('baseModel');
  await service.db.baseModel.create({ data: { id: baseModelId, name: 'demo' } });
  for (const version of ['1', '2', '3']) {
    const id = newId('baseModelVersion');
    versions.push(id);
    await service.db.baseModelVersion.create({ data: { id, baseModelId, version, path: '/x', servingName: 'x' } });
  }
  const analysis = await analyzeVersions(path.join(FAMILY, 'v1'), path.join(FAMILY, 'v2'));
  const { evolution } = analysis;
  analyzed = await add(versions[0]!, versions[1]!, {
    ...{ state: 'ready', rank: evolution!.rank, drift: evolution!.adaptable.drift, computeMs: 12 },
    summary: JSON.parse(JSON.stringify(summarizeAnalysis(analysis))) as object,
  });
});
afterAll(() => service.close());

async function add(oldBaseModelVersionId: string, newBaseModelVersionId: string, data: object): Promise<string> {
  const row = { id: newId('evolution'), oldBaseModelVersionId, newBaseModelVersionId, ...data };
  return (await service.db.evolution.create({ data: row })).id;
}

async function get<T>(url: string, key?: string): Promise<T> {
  const answer = await service.request({ url, ...(key !== undefined && { key }) });
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json<T>();
}

test('an evolution is shown by layer and module, to a tenant as to the operator', async () => {
  const evolution = await get<EvolutionResource>(`/v1/evolutions/${analyzed}`);
  expect(await get(`/v1/evolutions/${analyzed}`, acme.key)).toEqual(evolution);
  expect(Value.Errors(EvolutionResource, evolution)).toEqual([]);
  expect(evolution).toMatchObject({ base_model_name: 'demo', old_version: '1', new_version: '2', state: 'ready' });
  expect(evolution.advice?.reasons.length).toBeGreaterThan(0);
  expect(evolution.tokenizer).toMatchObject({ vocabulary_removed: 0, chat_template: 'same' });

  const layers = new Set(evolution.modules.map(({ layer }) => layer));
  const projections = new Set(evolution.modules.map(({ projection }) => projection));
  expect(evolution.modules).toHaveLength(layers.size * projections.size);
  expect([...layers]).toEqual([...layers.keys()].sort((a, b) => a! - b!));
  expect([...projections].sort()).toEqual(evolution.projections.map(({ name }) => name).sort());
  for (const { drift, captured_energy: energy } of evolution.modules) {
    expect(drift).toBeGreaterThan(0);
    expect(energy).toBeGreaterThan(0);
    expect(energy).toBeLessThanOrEqual(1);
  }
  const shares = evolution.captured_energy_by_rank.map(({ share }) => share);
  expect(shares.length).toBeGreaterThan(1);
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
});

test('those to a version are listed, and others are not', async () => {
  const { data } = await get<{ data: { id: string }[] }>(`/v1/base-model-versions/${versions[1]}/evolutions`, acme.key);
  expect(data.map(({ id }) => id)).toEqual([analyzed]);
  expect(data[0]).not.toHaveProperty('modules');
  expect(await get(`/v1/base-model-versions/${versions[0]}/evolutions`)).toEqual({ data: [], next_cursor: null });
});

test('incompatible versions have their differences, and one that is not analyzed has empty lists', async () => {
  const differences = [{ field: 'hidden_size', old: 64, new: 128 }];
  const failed = await add(versions[0]!, versions[2]!, { state: 'failed', differences });
  expect(await get(`/v1/evolutions/${failed}`)).toMatchObject({
    advice: { verdict: 'incompatible', reasons: [{ code: 'differs:hidden_size' }] },
    differences: [{ field: 'hidden_size', old: '64', new: '128' }],
    modules: [],
  });
  const pending = await add(versions[1]!, versions[2]!, {});
  expect(await get(`/v1/evolutions/${pending}`)).toMatchObject({ state: 'pending', modules: [], tokenizer: null });
});

test('what does not exist is answered with 404', async () => {
  for (const url of [
    `/v1/evolutions/${newId('evolution')}`,
    `/v1/base-model-versions/${newId('baseModelVersion')}/evolutions`,
  ]) {
    expect((await service.request({ url })).json()).toMatchObject({ status: 404, code: 'not_found' });
  }
});
