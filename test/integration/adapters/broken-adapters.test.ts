import { readFileSync } from 'node:fs';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contents } from '../support/store-contents.ts';
import { createAdapterWorld, GOLDEN, tarOfFolder, type AdapterWorld } from './support.ts';

interface BrokenCase {
  case: string;
  file: string;
  valid: boolean;
}
const cases = JSON.parse(readFileSync(`${GOLDEN}broken/broken.json`, 'utf8')) as BrokenCase[];
const broken = cases.filter(({ valid }) => !valid);

/**
 * Details that the problem must name besides the file: the tensor at fault, if any, and the values found and expected.
 */
const EXPECTED: Record<string, { tensor: RegExp | null; detail: RegExp }> = {
  'truncated-safetensors': { tensor: null, detail: /bytes/ },
  'header-too-long': { tensor: null, detail: /header/ },
  'nan-tensor': { tensor: /layers\.0\.self_attn\.q_proj\.lora_B\.weight/, detail: /NaN|finite/ },
  'missing-lora-b': { tensor: /q_proj.*lora_B/, detail: /missing|no lora_B/ },
  'unexpected-key': { tensor: /layers\.7\./, detail: /no layer 7/ },
  'wrong-rank-shape': { tensor: /layers\.0\.self_attn\.q_proj\.lora_A\.weight/, detail: /\[3, 16\].*\[2, 16\]/ },
  'other-base-shape': { tensor: /q_proj\.lora_A/, detail: /24.*16/ },
  'unknown-model-type': { tensor: null, detail: /zebra.*llama/ },
  'shard-path-traversal': { tensor: null, detail: /outside|leave|\.\./ },
  'zero-byte-file': { tensor: null, detail: /empty/ },
};

let world: AdapterWorld;
let adapterId: string;
beforeAll(async () => {
  world = await createAdapterWorld(cases.map((entry) => entry.case));
  adapterId = (await world.createAdapter('target')).id;
});
afterAll(() => world.app.close());

const ways: Record<string, (name: string) => Promise<InjectOptions>> = {
  folder: async (name) => ({
    method: 'POST',
    url: `/v1/adapters/${adapterId}/versions`,
    payload: { base_model_version: name, path: world.fixture(name).adapter },
  }),
  tar: async (name) => ({
    method: 'POST',
    url: `/v1/adapters/${adapterId}/versions/upload?base_model_version=${name}`,
    payload: await tarOfFolder(world.fixture(name).adapter),
    headers: { 'content-type': 'application/x-tar' },
  }),
  'new adapter': async (name) => ({
    method: 'POST',
    url: '/v1/adapters',
    payload: world.body('new', { source: { base_model_version: name, path: world.fixture(name).adapter } }),
  }),
};

describe.each(Object.keys(ways))('a broken adapter imported as %s', (way) => {
  it.each(broken)('$case: is refused with file, tensor and expectation, and nothing stays', async (fixture) => {
    const before = await contents(world.app.db, world.app.dataDir);
    const response = await world.app.request({ ...(await ways[way]!(fixture.case)), key: world.acme.key });
    const inAdapter = fixture.file.startsWith('adapter/');
    const problem = response.json<Record<string, string | null>>();
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(problem).toMatchObject({ status: 422, code: inAdapter ? 'invalid_adapter' : 'invalid_base_model' });
    expect(fixture.file.endsWith(`/${problem.file}`), `file ${problem.file}`).toBe(true);
    expect(problem.detail).toContain(problem.file);
    const expected = EXPECTED[fixture.case]!;
    if (expected.tensor !== null) expect(problem.tensor).toMatch(expected.tensor);
    expect(problem.detail).toMatch(expected.detail);
    expect(response.body).not.toContain(world.app.dataDir);
    expect(await contents(world.app.db, world.app.dataDir)).toEqual(before);
  });
});

it('the same import of the sound one is taken each way', async () => {
  for (const way of Object.values(ways)) {
    const response = await world.app.request({ ...(await way('control')), key: world.acme.key });
    expect(response.statusCode, response.body).toBe(201);
  }
});
