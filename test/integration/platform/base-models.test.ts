import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../../src/platform/contract/ids.ts';
import { createTestApp, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';

let service: TestApp;
let tenant: TestTenant;
let outside: string;

const CONFIG = { model_type: 'llama', hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 256 };

/** Creates a folder that looks like a model. The weights may be fake, because only the later analysis reads them. */
async function makeModel(name: string, config: unknown = CONFIG): Promise<string> {
  const folder = path.join(service.allowedRoot, name);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  await writeFile(path.join(folder, 'model.safetensors'), 'weights');
  return folder;
}

const createModel = (name: string) => service.request({ method: 'POST', url: '/v1/base-models', payload: { name } });
const addVersion = (model: string, payload: object) =>
  service.request({ method: 'POST', url: `/v1/base-models/${model}/versions`, payload });

beforeAll(async () => {
  service = await createTestApp();
  tenant = await createTestTenant(service.db, 'alpha');
  outside = path.join(path.dirname(service.allowedRoot), 'private');
  await mkdir(outside);
  await writeFile(path.join(outside, 'config.json'), JSON.stringify(CONFIG));
  await writeFile(path.join(outside, 'model.safetensors'), 'weights');
});
afterAll(() => service.close());

test('a base model is found by identifier and by name, and exists once', async () => {
  const created = await createModel('smol');
  expect(created.statusCode).toBe(201);
  const { id } = created.json();
  expect(created.headers.location).toBe(`/v1/base-models/${id}`);
  for (const at of [id, 'smol']) {
    expect((await service.request({ url: `/v1/base-models/${at}`, key: tenant.key })).json()).toEqual(created.json());
  }
  const again = await createModel('smol');
  expect([again.statusCode, again.json().code]).toEqual([409, 'base_model_exists']);
  expect((await service.request({ url: '/v1/base-models/absent' })).statusCode).toBe(404);
});

describe('versions', () => {
  test('the first starts no rollout, the next one does', async () => {
    await createModel('rolled');
    const first = await addVersion('rolled', { version: '1', path: await makeModel('rolled-1') });
    expect(first.statusCode).toBe(201);
    expect(first.json()).toMatchObject({
      base_model_version: {
        base_model_name: 'rolled',
        version: '1',
        state: 'registered',
        architecture: 'llama',
        parameters: null,
      },
      rollout: null,
    });

    const second = await addVersion('rolled', {
      version: '2',
      path: await makeModel('rolled-2'),
      rollout: { max_steps: 7 },
    });
    expect(second.statusCode).toBe(202);
    const { base_model_version: version, rollout } = second.json();
    expect(rollout).toMatchObject({ base_model_version_id: version.id, state: 'planning', options: { max_steps: 7 } });
    expect(second.headers.location).toBe(`/v1/rollouts/${rollout.id}`);
    expect(await service.deps.producer.count('rollouts')).toBe(1);
    const events = await service.db.event.findMany({ where: { subjectId: { in: [version.id, rollout.id] } } });
    expect(events.map((event) => event.type)).toContain('base_model_version.registered');
    expect(events.map((event) => event.subjectId)).toContain(rollout.id);

    const third = await addVersion('rolled', { version: '3', path: await makeModel('rolled-3'), rollout: false });
    expect([third.statusCode, third.json().rollout]).toEqual([201, null]);

    const list = await service.request({ url: '/v1/base-models/rolled/versions' });
    expect(list.json().data.map((entry: { version: string }) => entry.version)).toEqual(['3', '2', '1']);
  });

  test('say what becomes of the fleet by two members, or by the deprecated one of before', async () => {
    await createModel('wanted');
    await addVersion('wanted', { version: '1', path: await makeModel('wanted-1') });
    const path = await makeModel('wanted-2');
    const wanted = async (version: string, more: object) => {
      const answer = await addVersion('wanted', { version, path, ...more });
      return { status: answer.statusCode, body: answer.json() };
    };
    const started = { status: 202, body: { rollout: { options: { max_steps: 7 } } } };
    expect(await wanted('2', { rollout_options: { max_steps: 7 } })).toMatchObject(started);
    expect(await wanted('3', { rollout_options: { max_steps: 7 }, start_rollout: true })).toMatchObject(started);
    expect(await wanted('4', { start_rollout: true })).toMatchObject({
      status: 202,
      body: { rollout: { options: {} } },
    });
    expect(await wanted('5', { start_rollout: false })).toMatchObject({ status: 201, body: { rollout: null } });
    const dry = await wanted('6', { rollout_options: { max_steps: 7 }, dry_run: true });
    expect(dry).toMatchObject({ status: 202, body: { rollout: null, forecast: { options: { max_steps: 7 } } } });

    const refused = (field: string) => ({
      status: 400,
      body: { code: 'invalid_request', errors: [{ in: 'body', field }] },
    });
    for (const rollout of [false, { max_steps: 7 }]) {
      expect(await wanted('7', { rollout, rollout_options: {} })).toMatchObject(refused('rollout'));
      expect(await wanted('7', { rollout, start_rollout: true })).toMatchObject(refused('rollout'));
    }
    expect(await wanted('7', { rollout_options: {}, start_rollout: false })).toMatchObject(refused('rollout_options'));
    const nothing = await wanted('7', { start_rollout: false, dry_run: true });
    expect(nothing).toMatchObject({ status: 422, body: { code: 'dry_run_of_nothing' } });
  });

  test('are registered by a dry run, which starts no rollout; a rollout can follow', async () => {
    await createModel('tried');
    const first = { version: '1', path: await makeModel('tried-1'), dry_run: true };
    // There is no fleet yet.
    expect((await addVersion('tried', first)).json()).toMatchObject({ rollout: null, forecast: null });

    const options = { max_steps: 7, policy: { waves: [{ count: 3 }] } };
    const body = { version: '2', path: await makeModel('tried-2'), rollout: options, dry_run: true };
    const tried = await addVersion('tried', body);
    const { base_model_version: version, rollout, forecast } = tried.json();
    expect([tried.statusCode, rollout]).toEqual([202, null]);
    expect(forecast).toMatchObject({ base_model_version_id: version.id, dry_run: true, state: 'queued', options });
    expect(tried.headers.location).toBe(`/v1/rollout-forecasts/${forecast.id}`);
    expect((await service.request({ url: tried.headers.location! })).json()).toEqual(forecast);
    expect((await service.request({ url: tried.headers.location!, key: tenant.key })).statusCode).toBe(403);
    expect(await service.db.rollout.count({ where: { baseModelVersionId: version.id } })).toBe(0);

    const started = await service.request({
      method: 'POST',
      url: '/v1/rollouts',
      payload: { base_model_version_id: version.id, options },
    });
    expect(started.statusCode).toBe(202);
    // The forecast is compared with the first rollout that has these options.
    const { id } = started.json();
    expect((await service.request({ url: tried.headers.location! })).json().rollout_id).toBe(id);
    expect((await service.request({ url: `/v1/rollouts/${id}/forecast` })).json().code).toBe('not_found');
    const list = await service.request({ url: `/v1/rollout-forecasts?base_model_version_id=${version.id}` });
    expect(list.json().data).toMatchObject([{ id: forecast.id, state: 'queued' }]);

    const nothing = await addVersion('tried', { ...body, version: '3', rollout: false });
    expect([nothing.statusCode, nothing.json().code]).toEqual([422, 'dry_run_of_nothing']);
  });

  test('exist once, also when two requests come at the same time', async () => {
    await createModel('once');
    const folder = await makeModel('once-1');
    const answers = await Promise.all([1, 2, 3, 4].map(() => addVersion('once', { version: '1', path: folder })));
    expect(answers.map((answer) => answer.statusCode).sort()).toEqual([201, 409, 409, 409]);
    expect(answers.find((answer) => answer.statusCode === 409)?.json().code).toBe('base_model_version_exists');
  });

  test('show their folder to the operator only', async () => {
    await createModel('shown');
    const folder = await makeModel('shown-1');
    const { base_model_version: version } = (await addVersion('shown', { version: '1', path: folder })).json();
    expect(version.path).toBe(folder);
    const asTenant = await service.request({ url: `/v1/base-model-versions/${version.id}`, key: tenant.key });
    expect(asTenant.json()).toEqual({ ...version, path: null, source: null, serving_name: null });
    expect((await service.request({ url: `/v1/base-model-versions/${newId('baseModelVersion')}` })).statusCode).toBe(
      404,
    );
  });

  test('are served by a name, which is the given path unless the request names another', async () => {
    await createModel('served');
    const folder = await makeModel('served-1');
    const register = async (version: string, more: object) =>
      (await addVersion('served', { version, rollout: false, ...more })).json().base_model_version;
    const link = path.join(service.allowedRoot, 'latest');
    await symlink(folder, link);
    const versions = [
      await register('1', { path: `${folder}/` }),
      await register('2', { path: link }),
      await register('3', { path: folder, serving_name: 'org/served-v3' }),
    ];
    const retires_at = '2031-05-01T00:00:00.000Z';
    expect(await register('4', { path: folder, retires_at })).toMatchObject({ retires_at });
    expect(versions[0]).toMatchObject({ retires_at: null });
    expect(versions.map((version) => [version.path, version.serving_name])).toEqual([
      [folder, `${folder}/`],
      [folder, link],
      [folder, 'org/served-v3'],
    ]);
    const shown = await Promise.all(
      versions.map(({ id }) => service.request({ url: `/v1/base-model-versions/${id}`, key: tenant.key })),
    );
    expect(shown.map((answer) => answer.json().serving_name)).toEqual([null, null, 'org/served-v3']);
  });

  test.each(['', ' a', 'a\n', 'a\u202eb', 'a'.repeat(4097)])(
    'are refused with the serving name %j',
    async (serving_name) => {
      await createModel('misnamed');
      const folder = await makeModel('misnamed-1');
      const answer = await addVersion('misnamed', { version: '1', path: folder, serving_name });
      expect([answer.statusCode, answer.json().errors[0].field]).toEqual([400, 'serving_name']);
      expect(await service.db.baseModelVersion.count({ where: { baseModel: { name: 'misnamed' } } })).toBe(0);
    },
  );

  const refused: { name: string; path: () => Promise<string>; code: string; detail?: string }[] = [
    { name: 'a folder outside the allowed roots', path: async () => outside, code: 'path_not_allowed' },
    {
      name: 'a folder that only looks inside',
      path: async () => `${service.allowedRoot}/../private`,
      code: 'path_not_allowed',
    },
    {
      name: 'a sibling whose name begins like a root',
      path: async () => `${service.allowedRoot}-other`,
      code: 'path_not_allowed',
    },
    { name: 'a relative path', path: async () => 'models', code: 'path_not_allowed' },
    {
      name: 'a link that leads outside',
      path: async () => {
        const link = path.join(service.allowedRoot, 'link');
        await symlink(outside, link);
        return link;
      },
      code: 'path_not_allowed',
    },
    {
      name: 'a folder that does not exist',
      path: async () => path.join(service.allowedRoot, 'absent'),
      code: 'path_not_found',
    },
    {
      name: 'a file',
      path: async () => path.join(await makeModel('with-file'), 'config.json'),
      code: 'not_a_folder',
    },
    {
      name: 'a folder without config.json',
      path: async () => {
        const folder = await makeModel('no-config');
        await rm(path.join(folder, 'config.json'));
        return folder;
      },
      code: 'invalid_base_model',
      detail: 'config.json',
    },
    { name: 'a config.json that is not JSON', path: () => makeModel('bad-config', '{'), code: 'invalid_base_model' },
    {
      name: 'a config.json without a size',
      path: () => makeModel('no-size', { ...CONFIG, hidden_size: undefined }),
      code: 'invalid_base_model',
      detail: 'hidden_size is missing',
    },
    {
      name: 'a folder without weights',
      path: async () => {
        const folder = await makeModel('no-weights');
        await rm(path.join(folder, 'model.safetensors'));
        return folder;
      },
      code: 'invalid_base_model',
      detail: 'safetensors',
    },
  ];
  test.each(refused)('from $name are refused, and nothing stays', async ({ path: make, code, detail = '' }) => {
    await createModel('refusing');
    const answer = await addVersion('refusing', { version: '1', path: await make() });
    expect([answer.statusCode, answer.json().code]).toEqual([422, code]);
    expect(answer.json().detail).toContain(detail);
    expect(await service.db.baseModelVersion.count({ where: { baseModel: { name: 'refusing' } } })).toBe(0);
  });

  test('belong to a base model that exists', async () => {
    const answer = await addVersion('absent', { version: '1', path: await makeModel('orphan') });
    expect(answer.statusCode).toBe(404);
  });
});
