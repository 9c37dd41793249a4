import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { InspectionProcess } from '../../../src/fleet/adapters/inspection/inspection-process.ts';
import { bearer } from '../support/index.ts';
import { headerOfTensors, hostileAdapters, safetensorsOf, soundAdapter } from '../support/hostile-adapters.ts';
import { createAdapterWorld, GOLDEN, rawTar, TAR, type AdapterWorld } from './support.ts';

type Answer = Awaited<ReturnType<AdapterWorld['uploadTar']>>;

const archiveOf = (files: Readonly<Record<string, Buffer>>) =>
  rawTar(Object.entries(files).map(([name, content]) => ({ path: name, content })));

const endless = () => archiveOf(hostileAdapters['an endless expression as target_modules']!.files());
const sound = () => archiveOf(soundAdapter());

/** Creates an adapter of the other tenant. @returns its identifier */
async function adapterOfOther(world: AdapterWorld, name: string): Promise<string> {
  const { key } = world.other;
  const dataset = await world.app.request({
    method: 'POST',
    url: '/v1/datasets?name=data',
    key,
    headers: { 'content-type': 'application/x-ndjson' },
    payload: ['training', 'search', 'gate']
      .map((split) => JSON.stringify({ prompt: split, completion: 'x', split }))
      .join('\n'),
  });
  const payload = world.body(name, { dataset_id: dataset.json<{ id: string }>().id });
  const adapter = await world.app.request({ method: 'POST', url: '/v1/adapters', payload, key });
  return adapter.json<{ id: string }>().id;
}

/** Process ids of this process's adapter inspections. */
async function inspectionProcesses(): Promise<number[]> {
  const children = (await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')).split(' ');
  const pids = children.filter((pid) => /^\d+$/.test(pid) && Number(pid) !== still?.pid);
  const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return pids.filter((_, place) => commands[place]!.includes('inspect-in-process')).map(Number);
}

/** Largest number of this process's inspections that are seen until the work ends. */
async function mostProcesses(work: Promise<unknown>): Promise<number> {
  let going = true;
  const ended = work.finally(() => (going = false));
  let most = 0;
  for (; going; await sleep(25)) most = Math.max(most, (await inspectionProcesses()).length);
  await ended;
  return most;
}

/** Inspection that stands still in a service of its own. It takes its whole limit, so the other tests run meanwhile. */
let still: { readonly pid: number; readonly world: AdapterWorld; readonly answer: Promise<Answer> } | undefined;

beforeAll(async () => {
  if (process.platform !== 'linux') return;
  const world = await createAdapterWorld(['control'], { READAPT_INSPECTION_TIMEOUT_MS: '5000' });
  const { id } = await world.ensureAdapter('target');
  expect((await world.uploadTar(id, sound())).statusCode).toBe(201);
  const [pid, ...others] = await inspectionProcesses();
  expect(others).toEqual([]);
  process.kill(pid!, 'SIGSTOP');
  still = { pid: pid!, world, answer: world.uploadTar(id, sound()) };
});
afterAll(async () => {
  await still?.answer;
  await still?.world.app.close();
});

describe('an inspection that takes too long', () => {
  let world: AdapterWorld;
  beforeAll(async () => {
    world = await createAdapterWorld(['control'], { READAPT_INSPECTION_TIMEOUT_MS: '500' });
  });
  afterAll(() => world.app.close());

  it('is killed, with a problem that names the limit, and nothing stays', async () => {
    const { id } = await world.ensureAdapter('target');
    const detail = expect.stringMatching(/longer than 500 ms \(READAPT_INSPECTION_TIMEOUT_MS\)/);
    const problem = { status: 422, code: 'inspection_timeout', limit_ms: 500, detail };
    await world.expectRefusal(() => world.uploadTar(id, endless()), problem);
  });
});

describe('inspections with 128 MiB, one at a time', () => {
  let world: AdapterWorld;
  beforeAll(async () => {
    world = await createAdapterWorld(['control'], {
      READAPT_INSPECTION_MEMORY: '128MiB',
      READAPT_INSPECTIONS: '1',
    });
    // As many tensors as a base may have, which take more than half of the limit.
    const names = Array.from({ length: 100_000 }, (_, i) => `${'x'.repeat(100)}${i}`);
    const folder = path.join(world.app.allowedRoot, 'large');
    await cp(world.fixture('control').base, folder, { recursive: true });
    await writeFile(path.join(folder, 'model.safetensors'), safetensorsOf(headerOfTensors(names)));
    const version = { baseModelId: world.baseModelId, version: 'large', path: folder, servingName: 'large' };
    await world.app.db.baseModelVersion.create({ data: { id: newId('baseModelVersion'), ...version } });
  });
  afterAll(() => world.app.close());

  it('end where one needs more, with a problem that names the limit, and the next one is accepted', async () => {
    const { id } = await world.ensureAdapter('target');
    const url = `/v1/adapters/${id}/versions/upload?base_model_version=large`;
    const detail = expect.stringMatching(/more than 134217728 bytes of memory \(READAPT_INSPECTION_MEMORY\)/);
    await world.expectRefusal(() => world.request({ method: 'POST', url, payload: sound(), headers: TAR }), {
      status: 422,
      code: 'inspection_out_of_memory',
      limit_bytes: 2 ** 27,
      detail,
    });
    const response = await world.uploadTar(id, sound());
    expect(response.statusCode, response.body).toBe(201);
  });

  it.runIf(process.platform === 'linux')('are one, also those of two tenants', async () => {
    const [own, other] = [(await world.ensureAdapter('own')).id, await adapterOfOther(world, 'other')];
    const uploads = [
      world.uploadTar(own, endless()),
      world.uploadTar(other, endless(), bearer(world.other.key)),
      world.uploadTar(other, sound(), bearer(world.other.key)),
    ];
    expect(await mostProcesses(Promise.all(uploads))).toBe(1);
    const codes = (await Promise.all(uploads)).map((answer) => answer.json<{ code?: string }>().code);
    expect(codes).toEqual(['invalid_adapter', 'invalid_adapter', undefined]);
  });
});

describe('two inspections at a time, as many as by default', () => {
  let world: AdapterWorld;
  beforeAll(async () => {
    world = await createAdapterWorld(['control']);
  });
  afterAll(() => world.app.close());

  it('of one tenant do not keep those of another waiting, in two processes', async () => {
    const { id } = await world.ensureAdapter('slow');
    const other = await adapterOfOther(world, 'quick');
    const answered: string[] = [];
    const upload = async (name: string, ...request: Parameters<AdapterWorld['uploadTar']>) => {
      const { statusCode, body } = await world.uploadTar(...request);
      answered.push(`${name} ${statusCode === 201 ? 'accepted' : JSON.parse(body).code}`);
    };
    // Once it ends, a second process has started. On a busy machine that takes as long as several slow uploads.
    const first = upload('first', other, endless(), bearer(world.other.key));
    const slow = [1, 2, 3].map(() => upload('slow', id, endless()));
    const quick = upload('quick', other, sound(), bearer(world.other.key));
    const most = await mostProcesses(Promise.all([first, ...slow, quick]));
    const refused = Array<string>(3).fill('slow invalid_adapter');
    expect([...answered].sort()).toEqual(['first invalid_adapter', 'quick accepted', ...refused]);
    const between = answered.slice(answered.indexOf('first invalid_adapter') + 1, answered.indexOf('quick accepted'));
    expect(between.length).toBeLessThanOrEqual(1);
    if (process.platform === 'linux') expect(most).toBe(2);
  });
});

describe('the process of an inspection', () => {
  const control = path.join(GOLDEN, 'broken', 'control');
  const request = { folder: path.join(control, 'adapter'), baseFolder: path.join(control, 'base'), configOnly: false };
  const logger = createLogger({ level: 'silent', pretty: false });
  const running: InspectionProcess[] = [];
  const start = (memoryBytes = 2 ** 29) => {
    const started = new InspectionProcess({ memoryBytes, timeoutMs: 10_000 }, logger);
    running.push(started);
    return started;
  };
  afterEach(async () => {
    for (const started of running.splice(0)) await started.stop();
  });

  it('answers one request after the other', async () => {
    const inspection = start();
    const expected = { rank: 2, loraAlpha: 4, targets: ['q_proj', 'v_proj'] };
    expect(await inspection.inspect(request)).toMatchObject(expected);
    expect(await inspection.inspect(request)).toMatchObject(expected);
  });

  it('that is killed by others says that the request may be sent again', async () => {
    const inspection = start();
    const answer = inspection.inspect(request);
    process.kill(inspection.pid!, 'SIGKILL');
    await expect(answer).rejects.toMatchObject({ status: 503, code: 'inspection_interrupted' });
    expect(inspection.alive).toBe(false);
  });

  it.runIf(process.platform === 'linux')('is killed when it is larger than its memory', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'readapt-test-inspection-'));
    try {
      const { files } = hostileAdapters['an endless expression as target_modules']!;
      for (const [name, bytes] of Object.entries(files())) await writeFile(path.join(folder, name), bytes);
      // Node alone needs more than this.
      const inspection = start(2 ** 25);
      await expect(inspection.inspect({ ...request, folder })).rejects.toMatchObject({
        status: 422,
        code: 'inspection_out_of_memory',
        details: { limit_bytes: 2 ** 25 },
      });
      expect(inspection.alive).toBe(false);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it.runIf(process.platform === 'linux')("has none of the service's secrets in its environment", async () => {
    process.env.READAPT_TEST_SECRET = 'hunter2';
    try {
      const inspection = start();
      await inspection.inspect(request);
      const environment = await readFile(`/proc/${inspection.pid}/environ`, 'utf8');
      expect(environment).toContain('PATH=');
      expect(environment).not.toContain('hunter2');
    } finally {
      delete process.env.READAPT_TEST_SECRET;
    }
  });
});

// This test comes last, so that it has less to wait for.
it.runIf(process.platform === 'linux')(
  'an inspection that stands still does not keep the next one from being accepted',
  async () => {
    const { world, answer } = still!;
    expect((await answer).json()).toMatchObject({ code: 'inspection_timeout', limit_ms: 5000 });
    const { id } = await world.ensureAdapter('target');
    const response = await world.uploadTar(id, sound());
    expect(response.statusCode, response.body).toBe(201);
  },
);
