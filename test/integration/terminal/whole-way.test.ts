// Carries a fleet over from the terminal alone, with real processes against a real `readapt serve` and its worker.
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { folderDigest } from '../../../openapi/clients/typescript/src/node/index.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../../unit/training/support/tiny-task.ts';
import { openRelay } from '../client/relay.ts';
import { createFolderWithDatabase, processesOf, removeFolder, serve, type Served } from '../stack/readapt.ts';
import { createTerminal, type Ended, type Terminal } from './terminal.ts';

/** Identifier of no rollout. */
const UNKNOWN = 'rol_00000000-0000-7000-8000-000000000000';

let folder: string;
/** Home folder of the service's user. */
let home: string;
let service: Served;
let terminal: Terminal;
let tenant: string;
let family: TinyFamily;
/** Adapter of 230 kB, large enough for a connection to be cut within its archive. */
let adapter: string;
/** Version of the adapter `plurals` that the rollout has published, and the rollout. */
let published: string;
let rolloutId: string;
/** Command that asks where no service is, which it tries for seconds before it says so. */
let unreached: Promise<Ended>;

beforeAll(async () => {
  folder = await createFolderWithDatabase();
  family = await createTinyFamily();
  adapter = path.join(family.folder, 'wide');
  const { config: base } = await loadBaseModel(family.oldBase);
  await saveAdapter(adapter, createAdapter({ base, targetModules: 'all-linear', rank: 32, alpha: 64, seed: 1 }));
  home = path.join(folder, 'home');
  await mkdir(home);
  service = await serve(folder, [], {
    env: {
      READAPT_ALLOWED_ROOTS: [family.oldBase, family.newBase].join(path.delimiter),
      READAPT_LOG_LEVEL: 'warn',
      HOME: home,
      XDG_CACHE_HOME: path.join(home, '.cache'),
      // ONNX Runtime records nothing if CI is set. Readapt's own cache does not matter here.
      CI: undefined,
      READAPT_GRAPH_CACHE: 'off',
    },
  });
  terminal = createTerminal(folder);
  const env = { READAPT_URL: 'http://127.0.0.1:1', READAPT_API_KEY: 'rdp_x' };
  unreached = terminal.run(['rollout', 'ls'], { env });
  tenant = await createTenant();
});
afterAll(async () => {
  await removeFolder(folder);
  await removeTinyFamily(family);
});

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

test('signing in checks the key, and keeps it where only its user can read it', async () => {
  const [wrong, nobody] = await Promise.all([
    terminal.run(['login', '--url', service.url, '--key-stdin'], { input: 'rdp_no_key\n' }),
    terminal.run(['rollout', 'ls', '--json']),
  ]);
  expect(wrong).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('401 unauthorized') });
  expect(wrong.stderr).toContain(`asked ${service.url}`);
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
  await terminal.json('base-versions', 'register', 'demo@1', '--path', family.oldBase);
  const push = (name: string, label: string) => {
    const of = ['--name', name, '--label', label, '--tenant', tenant, '--base-model', 'demo', '--base-version', '1'];
    const gate = ['--metric', 'exact_match', '--margin', '0.2', '--on-inconclusive', 'publish'];
    return terminal.run(['adapters', 'push', adapter, ...of, '--data', family.train, ...gate]);
  };
  for (const pushed of await Promise.all([push('plurals', 'tier=gold'), push('more-plurals', 'tier=silver')])) {
    expect(pushed, pushed.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('has version 1: adv_') });
  }
  const [{ stdout }, gold] = await Promise.all([
    terminal.run(['adapters', 'ls', '--sort', 'name']),
    terminal.json<{ data: { name: string }[] }>('adapters', 'ls', '--label', 'tier=gold'),
  ]);
  const [heading, ...listed] = stdout.trimEnd().split('\n');
  expect(heading).toMatch(/^ADAPTER +NAME +BASE MODEL +LATEST +METRIC +LABELS +CREATED$/);
  expect(listed).toEqual([
    expect.stringMatching(/^adp_\S+ {2}more-plurals {2}demo +v1 imported +exact_match +tier=silver/),
    expect.stringMatching(/^adp_\S+ {2}plurals +demo +v1 imported +exact_match +tier=gold/),
  ]);
  expect(gold.data.map(({ name }) => name)).toEqual(['plurals']);
});

test('a rollout is tried, begun with a canary, paused, resumed, approved and watched to its end', async () => {
  const events = terminal.start(['events', '--follow', '--since', '0', '--type', 'rollout.*', '--json']);
  const version = ['--base-model', 'demo', '--base-version', '2'];
  const effort = ['--search-evaluations', '2', '--search-rows', '16', '--max-steps', '4', '--evaluate-every', '2'];
  const policy = ['--wave', 'tier=gold', '--approve', 'manual', ...effort];
  const dryRun = ['rollout', 'create', ...version, '--path', family.newBase, ...policy, '--dry-run'];
  const [forecast, none] = await Promise.all([terminal.json(...dryRun), terminal.run(['rollout', 'get'])]);
  expect(forecast).toMatchObject({ state: 'computed', adapters: { taken: 2 }, waves: [1, 1] });
  expect(none.code).toBe(4);

  const canary = await terminal.run(['rollout', 'create', ...version, ...policy, '--watch', '--until-waiting']);
  expect(canary, canary.stderr).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('wave 2 waits for a person'),
  });
  expect(canary.stdout).toMatch(/ s {2}plurals +ready/);
  const id = /^rol_\S+/m.exec(canary.stdout)![0];
  rolloutId = id;

  const watching = terminal.start(['rollout', 'watch', id]);
  const newest = terminal.json<Rollout>('rollout', 'get');
  await watching.printed(/wave 2 waits/);
  watching.child.kill('SIGINT');
  expect((await newest).id).toBe(id);
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

/** Whether a process has loaded ONNX Runtime. */
async function hasOnnxRuntime(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/maps`, 'utf8')).includes('libonnxruntime');
}

test('the worker and its training process have used ONNX Runtime, the API has not loaded it', async () => {
  const processes = await processesOf(folder);
  const find = (what: string) => processes.find(({ command }) => command.includes(what))!.pid;
  const loaded = {
    api: await hasOnnxRuntime(service.child.pid!),
    worker: await hasOnnxRuntime(find('readapt.js worker')),
    training: await hasOnnxRuntime(find('training/process')),
  };
  expect(loaded).toEqual({ api: false, worker: true, training: true });
});

test('many jobs are changed by a filter after a preview, and nothing without a yes', async () => {
  const of = ['--rollout', rolloutId];
  const [preview, all, ready] = await Promise.all([
    terminal.json('jobs', 'retry', ...of, '--label', 'tier=gold', '--dry-run'),
    terminal.run(['jobs', 'cancel', ...of]),
    terminal.json<{ data: unknown[] }>('jobs', 'ls', ...of, '--state', 'ready'),
  ]);
  expect(preview).toEqual({ dry_run: true, matched: 0, changed: 0, left: [] });
  expect(all).toMatchObject({ code: 2, stderr: expect.stringContaining('no filter is given') });
  expect(ready.data).toHaveLength(2);
});

test('what was published is pulled with its digest checked', async () => {
  const out = path.join(folder, 'pulled');
  const pull = ['adapters', 'pull', 'plurals', '--on', 'demo@2', '--out', out];
  const { version } = await terminal.json<{ version: { digest: string; id: string; number: number } }>(...pull);
  expect(version.number).toBe(2);
  published = version.id;
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
  await writeFile(path.join(folder, `.pulled-on-${published}.part`), 'of something else');
  const mixed = await terminal.run(pull);
  expect(mixed).toMatchObject({ code: 1, stderr: expect.stringContaining('download it again') });
  expect((await terminal.run(pull)).code).toBe(0);
});

async function bytesOf(pulled: string): Promise<number> {
  const sizes = await Promise.all((await readdir(pulled)).map((name) => stat(path.join(pulled, name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

test('a rollback asks first, and serves again what was served before', async () => {
  const unasked = await terminal.run(['rollout', 'rollback', rolloutId]);
  expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('add --yes') });
  expect(await terminal.json('rollout', 'rollback', rolloutId, '--yes')).toMatchObject({
    rolled_back: 2,
    left_alone: 0,
  });
  const pull = await terminal.run(['adapters', 'pull', 'plurals', '--on', 'demo@2']);
  expect(pull).toMatchObject({ code: 4, stderr: expect.stringContaining('has no version for demo 2') });
});

test('what is refused, is not there or is not reached has an exit code of its own', async () => {
  const [unknown, mistyped] = await Promise.all([
    terminal.run(['rollout', 'get', UNKNOWN]),
    terminal.run(['workers', 'drain', 'job_1']),
  ]);
  expect(unknown).toMatchObject({
    code: 4,
    stderr: expect.stringContaining(`(asked ${service.url}, profile default)`),
  });
  expect(await unreached).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Is the service running'),
  });
  expect(mistyped).toMatchObject({ code: 2 });
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

  const [painted, plain] = await Promise.all([
    terminal.onPty(['rollout', 'ls']).ended,
    terminal.onPty(['rollout', 'ls'], { NO_COLOR: '1' }).ended,
  ]);
  expect(painted.stdout).toContain('\u001b[32mcompleted');
  const widest = Math.max(...painted.stdout.split('\r\n').map((line) => line.replace(/\u001b\[\d+m/g, '').length));
  expect(widest).toBeLessThanOrEqual(100);
  expect(plain.stdout).toContain('completed');
  expect(plain.stdout).not.toContain('\u001b[');
});

test('no process leaves a record of its inferences, which ONNX Runtime would send', async () => {
  service.child.kill('SIGTERM');
  expect(await service.ended).toBe(0);
  expect(await readdir(home, { recursive: true })).toEqual([]);
});
