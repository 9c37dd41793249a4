// Carries a fleet over from the terminal alone, with real processes against a real `readapt serve` and its worker.
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { folderDigest } from '../../../openapi/clients/typescript/src/node/index.ts';
import { openRelay } from '../client/relay.ts';
import { createFolderWithDatabase, removeFolder, serve, type Served } from '../stack/readapt.ts';
import { createTerminal, ROOT, type Ended, type Terminal } from './terminal.ts';

const FAMILY = path.join(ROOT, 'examples/demo-family');
/** Identifier of no rollout. */
const UNKNOWN = 'rol_00000000-0000-7000-8000-000000000000';

let folder: string;
let service: Served;
let terminal: Terminal;
let tenant: string;
/** File with the rows of both adapters. */
let rows: string;
/** Command that asks where no service is, which it tries for seconds before it says so. */
let unreached: Promise<Ended>;

beforeAll(async () => {
  folder = await createFolderWithDatabase();
  service = await serve(folder, [], { env: { READAPT_ALLOWED_ROOTS: FAMILY, READAPT_LOG_LEVEL: 'warn' } });
  terminal = createTerminal(folder);
  const env = { READAPT_URL: 'http://127.0.0.1:1', READAPT_API_KEY: 'rdp_x' };
  unreached = terminal.run(['rollout', 'ls'], { env });
  tenant = await createTenant();
  rows = path.join(folder, 'rows.jsonl');
  const all = await readFile(path.join(FAMILY, 'data/plural/train-small.jsonl'), 'utf8');
  await writeFile(rows, `${all.split('\n').slice(0, 100).join('\n')}\n`);
});
afterAll(() => removeFolder(folder));

async function createTenant(): Promise<string> {
  const headers = { authorization: `Bearer ${service.operatorKey}`, 'content-type': 'application/json' };
  const answer = await fetch(`${service.url}/v1/tenants`, { method: 'POST', headers, body: '{"name":"acme"}' });
  return ((await answer.json()) as { id: string }).id;
}

/** Fields of a rollout that the test uses. */
interface Rollout {
  readonly id: string;
  readonly state: string;
}

const newestRollout = (): Promise<Rollout> => terminal.json<Rollout>('rollout', 'get');

test('signing in checks the key, and keeps it where only its user can read it', async () => {
  const wrong = await terminal.run(['login', '--url', service.url, '--key-stdin'], { input: 'rdp_no_key\n' });
  expect(wrong).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('401 unauthorized') });
  expect(wrong.stderr).toContain(`asked ${service.url}`);
  const nobody = await terminal.run(['rollout', 'ls', '--json']);
  expect(nobody).toMatchObject({ code: 3, stderr: expect.stringContaining('run `readapt login`') });
  expect(JSON.parse(nobody.stdout)).toMatchObject({ error: { code: 'not_signed_in' } });

  const login = await terminal.run(['login', '--url', service.url, '--key-stdin'], {
    input: `${service.operatorKey}\n`,
  });
  expect(login, login.stderr).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('as the operator, with operator'),
  });
  const file = path.join(folder, 'config/readapt/config.json');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
    current: 'default',
    profiles: { default: { url: service.url, key: service.operatorKey } },
  });
  const { stdout } = await terminal.run(['profiles']);
  expect(stdout).toBe(`   PROFILE  ADDRESS\n*  default  ${service.url}\n`);
});

test('adapters are pushed with their rows and listed', async () => {
  await terminal.json('base-models', 'create', 'demo');
  await terminal.json('base-versions', 'register', 'demo@1', '--path', path.join(FAMILY, 'v1'));
  for (const [name, label] of [
    ['plurals', 'tier=gold'],
    ['more-plurals', 'tier=silver'],
  ] as const) {
    const pushed = await terminal.run([
      ...[
        'adapters',
        'push',
        path.join(FAMILY, 'adapters/plural'),
        '--name',
        name,
        '--label',
        label,
        '--tenant',
        tenant,
      ],
      ...['--base-model', 'demo', '--base-version', '1', '--data', rows],
      ...['--metric', 'exact_match', '--margin', '0.2', '--on-inconclusive', 'publish'],
    ]);
    expect(pushed, pushed.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('has version 1: adv_') });
  }
  const { stdout } = await terminal.run(['adapters', 'ls', '--sort', 'name']);
  const [heading, ...listed] = stdout.trimEnd().split('\n');
  expect(heading).toMatch(/^ADAPTER +NAME +BASE MODEL +LATEST +METRIC +LABELS +CREATED$/);
  expect(listed).toEqual([
    expect.stringMatching(/^adp_\S+ {2}more-plurals {2}demo +v1 imported +exact_match +tier=silver/),
    expect.stringMatching(/^adp_\S+ {2}plurals +demo +v1 imported +exact_match +tier=gold/),
  ]);
  const gold = await terminal.json<{ data: { name: string }[] }>('adapters', 'ls', '--label', 'tier=gold');
  expect(gold.data.map(({ name }) => name)).toEqual(['plurals']);
});

test('a rollout is tried, begun with a canary, paused, resumed, approved and watched to its end', async () => {
  const events = terminal.start(['events', '--follow', '--since', '0', '--type', 'rollout.*', '--json']);
  const version = ['--base-model', 'demo', '--base-version', '2'];
  const effort = ['--search-evaluations', '2', '--search-rows', '16', '--max-steps', '4', '--evaluate-every', '2'];
  const policy = ['--wave', 'tier=gold', '--approve', 'manual', ...effort];
  const dryRun = ['rollout', 'create', ...version, '--path', path.join(FAMILY, 'v2'), ...policy, '--dry-run'];
  expect(await terminal.json(...dryRun)).toMatchObject({ state: 'computed', adapters: { taken: 2 }, waves: [1, 1] });
  expect((await terminal.run(['rollout', 'get'])).code).toBe(4);

  const canary = await terminal.run(['rollout', 'create', ...version, ...policy, '--watch', '--until-waiting']);
  expect(canary, canary.stderr).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('wave 2 waits for a person'),
  });
  expect(canary.stdout).toMatch(/ s {2}plurals +ready/);
  const { id } = await newestRollout();

  const watching = terminal.start(['rollout', 'watch', id]);
  await watching.printed(/wave 2 waits/);
  watching.child.kill('SIGINT');
  const stopped = await watching.ended;
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toContain(`stopped watching; rollout ${id} goes on`);

  expect((await terminal.run(['rollout', 'pause', id])).stdout).toBe(`rollout ${id} is paused\n`);
  expect((await terminal.run(['rollout', 'resume', id])).stdout).toBe(`rollout ${id} is adapting\n`);
  const approved = await terminal.run(['rollout', 'approve', id]);
  expect(approved, approved.stderr).toMatchObject({ code: 0, stderr: 'wave 2 is released\n' });

  const watched = await terminal.run(['rollout', 'watch', '--json']);
  expect(watched, watched.stderr).toMatchObject({ code: 0, stderr: '' });
  const lines = watched.stdout.trimEnd().split('\n');
  const changes = lines.map(
    (line) => JSON.parse(line) as { rollout?: Rollout; job?: { adapter_name: string; state: string } },
  );
  expect(changes.flatMap(({ rollout }) => rollout?.state ?? []).at(-1)).toBe('completed');
  expect(new Set(changes.flatMap(({ job }) => job?.adapter_name ?? []))).toEqual(new Set(['plurals', 'more-plurals']));

  await events.printed(/rollout\.completed/);
  events.child.kill('SIGINT');
  const followed = await events.ended;
  expect(followed.code).toBe(130);
  const types = followed.stdout.split('\n').flatMap((line) => /"type":"(rollout\.\w+)"/.exec(line)?.[1] ?? []);
  expect(types).toEqual(expect.arrayContaining(['rollout.accepted', 'rollout.paused', 'rollout.wave_released']));
});

test('many jobs are changed by a filter after a preview, and nothing without a yes', async () => {
  const { id } = await newestRollout();
  const preview = await terminal.json('jobs', 'retry', '--rollout', id, '--label', 'tier=gold', '--dry-run');
  expect(preview).toEqual({ dry_run: true, matched: 0, changed: 0, left: [] });
  const all = await terminal.run(['jobs', 'cancel', '--rollout', id]);
  expect(all).toMatchObject({ code: 2, stderr: expect.stringContaining('no filter is given') });
  const ready = await terminal.json<{ data: unknown[] }>('jobs', 'ls', '--rollout', id, '--state', 'ready');
  expect(ready.data).toHaveLength(2);
});

test('what was published is pulled with its digest checked', async () => {
  const out = path.join(folder, 'pulled');
  const pull = ['adapters', 'pull', 'plurals', '--on', 'demo@2', '--out', out];
  const { version } = await terminal.json<{ version: { digest: string; number: number } }>(...pull);
  expect(version.number).toBe(2);
  expect(await folderDigest(out)).toBe(version.digest);
  const again = await terminal.run(pull);
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining(`${out} exists already`) });
});

test('a pull that was interrupted goes on with what has arrived, and says when that is no part of it', async () => {
  const out = path.join(folder, 'pulled-on');
  const pull = ['adapters', 'pull', 'plurals', '--on', 'demo@2', '--out', out];
  const relay = await openRelay(Number(new URL(service.url).port));
  const env = { READAPT_URL: relay.origin, READAPT_API_KEY: service.operatorKey! };
  const arrived = async () => {
    const part = (await readdir(folder)).find((name) => /^\.pulled-on-.*\.part$/.test(name));
    return part === undefined ? 0 : (await stat(path.join(folder, part))).size;
  };
  try {
    // Cuts the connection within the archive, which is sent last. Data not written by then are lost.
    relay.cutAfter(100_000, () => expect.poll(arrived).toBeGreaterThan(60_000));
    expect(await terminal.run(pull, { env })).toMatchObject({ code: 0 });
    // After the cut, only the missing data were transferred.
    expect(relay.bytesSinceCut).toBeGreaterThan(0);
    expect(relay.bytesSinceCut).toBeLessThan((await bytesOf(out)) - 50_000);
  } finally {
    await relay.close();
  }
  await rm(out, { recursive: true });
  const { version } = await terminal.json<{ version: { id: string } }>(...pull);
  await rm(out, { recursive: true });
  await writeFile(path.join(folder, `.pulled-on-${version.id}.part`), 'of something else');
  const mixed = await terminal.run(pull);
  expect(mixed).toMatchObject({ code: 1, stderr: expect.stringContaining('download it again') });
  expect((await terminal.run(pull)).code).toBe(0);
});

async function bytesOf(pulled: string): Promise<number> {
  const sizes = await Promise.all((await readdir(pulled)).map((name) => stat(path.join(pulled, name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

test('a rollback asks first, and serves again what was served before', async () => {
  const { id } = await newestRollout();
  const unasked = await terminal.run(['rollout', 'rollback', id]);
  expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('add --yes') });
  expect(await terminal.json('rollout', 'rollback', id, '--yes')).toMatchObject({ rolled_back: 2, left_alone: 0 });
  const pull = await terminal.run(['adapters', 'pull', 'plurals', '--on', 'demo@2']);
  expect(pull).toMatchObject({ code: 4, stderr: expect.stringContaining('has no version for demo 2') });
});

test('what is refused, is not there or is not reached has an exit code of its own', async () => {
  expect(await terminal.run(['rollout', 'get', UNKNOWN])).toMatchObject({
    code: 4,
    stderr: expect.stringContaining(`(asked ${service.url}, profile default)`),
  });
  expect(await unreached).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Is the service running'),
  });
  expect(await terminal.run(['workers', 'drain', 'job_1'])).toMatchObject({ code: 2 });
});

test('a terminal asks for the key without showing it, and has colors unless NO_COLOR is set', async () => {
  const login = terminal.onPty(['login', '--profile', 'typed']);
  await login.printed(/Address of the service/);
  login.child.stdin?.write(`${service.url}\r`);
  await login.printed(/API key/);
  login.child.stdin?.write(`${service.operatorKey}\r`);
  const { code, stdout } = await login.ended;
  expect(code, stdout).toBe(0);
  expect(stdout).toContain('as the operator');
  expect(stdout).not.toContain(service.operatorKey);

  const painted = await terminal.onPty(['rollout', 'ls']).ended;
  expect(painted.stdout).toContain('\u001b[32mcompleted');
  const widest = Math.max(...painted.stdout.split('\r\n').map((line) => line.replace(/\u001b\[\d+m/g, '').length));
  expect(widest).toBeLessThanOrEqual(100);
  const plain = await terminal.onPty(['rollout', 'ls'], { NO_COLOR: '1' }).ended;
  expect(plain.stdout).toContain('completed');
  expect(plain.stdout).not.toContain('\u001b[');
});
