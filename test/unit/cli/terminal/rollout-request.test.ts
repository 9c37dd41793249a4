import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Command } from 'commander';
import { addRolloutCreateCommand } from '../../../../cli/commands/rollout/create/create.ts';
import { requestOf, type CreateOptions } from '../../../../cli/commands/rollout/create/rollout-request.ts';
import { addAllOptions } from '../../../../cli/options/later-options.ts';
import { readapt } from '../support/readapt.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-rollout-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Request of a command line. */
async function requested(...args: string[]) {
  const rollout = new Command('rollout');
  addRolloutCreateCommand(rollout);
  await addAllOptions(rollout);
  const [command] = rollout.commands;
  let options: CreateOptions = {};
  command!.action((given: CreateOptions) => void (options = given));
  await rollout.parseAsync(['create', ...args], { from: 'user' });
  return requestOf(options);
}

async function file(text: string): Promise<string> {
  const name = path.join(folder, 'rollout.yaml');
  await writeFile(name, text);
  return name;
}

describe('a rollout', () => {
  it('has every part of a policy from flags', async () => {
    const words =
      '--base-model llama --base-version 2 --wave 5 --wave 20% --wave tier=gold,team=a --approve manual ' +
      '--pause-if unready-share=0.2 --pause-if min_jobs=3 --priority high --concurrency 4 ' +
      '--deadline 2027-01-31T00:00:00Z ' +
      '--budget-device-seconds 60 --supersede stop --provisional revert --late join --tenant ten_1 --tenant ten_2 ' +
      '--adapter adp_1 --label tier=gold --control sample --control-fraction 0.5 --strategy revert --max-steps 10';
    expect(await requested(...words.split(' '))).toEqual({
      version: { model: 'llama', version: '2' },
      options: {
        strategy: 'revert',
        max_steps: 10,
        control: 'sample',
        control_fraction: 0.5,
        policy: {
          selection: { tenants: ['ten_1', 'ten_2'], adapters: ['adp_1'], labels: { tier: 'gold' } },
          waves: [{ count: 5 }, { percent: 20 }, { label: { tier: 'gold', team: 'a' } }],
          approve: 'manual',
          pause_if: { unready_share: 0.2, min_jobs: 3 },
          priority: 'high',
          concurrency: 4,
          deadline: '2027-01-31T00:00:00.000Z',
          budget_device_seconds: 60,
          supersede: 'stop',
          provisional: 'revert',
          late: 'join',
        },
      },
    });
  });

  it('names no policy where none is given, so that the one of the base model counts', async () => {
    expect(await requested('--base-version', 'bmv_1')).toEqual({ version: { id: 'bmv_1' }, options: {} });
  });
});

describe('a rollout file', () => {
  it('is read from a file, over which flags go', async () => {
    const yaml = await file(
      'base_model: llama\nversion: "2"\npath: /models/2\n' +
        'options:\n  seed: 1\n  policy:\n    waves: [{ count: 1 }]\n    late: join\n',
    );
    expect(
      await requested(
        '--file',
        yaml,
        '--wave',
        '3',
        '--serving-name',
        'x',
        '--approve',
        'https://a.example',
        '--approve-timeout',
        '500',
      ),
    ).toEqual({
      version: { model: 'llama', version: '2', register: { path: '/models/2', serving_name: 'x' } },
      options: {
        seed: 1,
        policy: { waves: [{ count: 3 }], late: 'join', approve: { url: 'https://a.example', timeout_ms: 500 } },
      },
    });
    expect(
      await requested('--file', await file('{"base_model_version_id": "bmv_1", "options": {"policy": {}}}')),
    ).toEqual({
      version: { id: 'bmv_1' },
      options: { policy: {} },
    });
  });

  it.each([
    ['version: 2', 'version is not a text; write it in quotes: "2"'],
    ['wave: 1', '"wave" is not known, expected base_model'],
    ['- 1', 'holds no mapping'],
    ['{', 'is neither YAML nor JSON'],
    ['options: [1]', 'options is no mapping'],
    ['a: &a [1]\noptions: {b: *a}', 'is neither YAML nor JSON'],
  ])('is not read from a file with %j', async (text, message) => {
    await expect(requested('--file', await file(text))).rejects.toThrow(message);
  });
});

describe('a wrong rollout', () => {
  it.each([
    ['no version', [], 'no version is named'],
    ['no base model', ['--base-version', '2'], '--base-model is missing'],
    ['a serving name of nothing', ['--base-version', 'bmv_1', '--serving-name', 'x'], 'registered with --path'],
    ['no such file', ['--file', '/nowhere.yaml'], 'ENOENT'],
  ])('with %s is refused', async (_what, args, message) => {
    await expect(requested(...args)).rejects.toThrow(message);
  });

  it.each([
    ['--wave', 'x'],
    ['--wave', '1.5'],
    ['--pause-if', 'x=1'],
    ['--pause-if', 'unready_share='],
    ['--deadline', 'soon'],
    ['--label', 'x'],
    ['--concurrency', '0'],
  ])('refuses %s %s as wrong usage', async (flag, value) => {
    const { code, stderr } = await readapt('rollout', 'create', '--base-version', 'bmv_1', flag, value);
    expect(code).toBe(2);
    expect(stderr).toContain(`${flag}`);
  });
});
