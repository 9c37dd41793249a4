import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ResultRecord } from '../../experiments/records.ts';
import { TINY_YAML } from './support/tiny-experiment.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-experiment-'));
  await writeFile(path.join(folder, 'tiny.yaml'), TINY_YAML);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the harness and kills it with SIGKILL as soon as `killAt` appears on stderr. */
async function run(killAt: string | null): Promise<{ code: number | null; signal: string | null; stdout: string }> {
  const args = [
    '--import',
    'tsx',
    'lab/experiments/index.ts',
    '--config',
    path.join(folder, 'tiny.yaml'),
    '--out',
    folder,
    '--json',
  ];
  const child = spawn(process.execPath, args, { cwd: ROOT });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    if (killAt !== null && stderr.includes(killAt)) child.kill('SIGKILL');
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, stdout };
}

const lines = async (): Promise<string[]> =>
  (await readFile(path.join(folder, 'results.jsonl'), 'utf8')).split('\n').slice(0, -1);
const parse = (line: string): ResultRecord => JSON.parse(line) as ResultRecord;

it('resumes after SIGKILL with what was measured, measures the rest once and reports everything', async () => {
  expect((await run('16 rows, copy: ')).signal).toBe('SIGKILL');
  const before = await lines();
  expect(before.map(parse).map(({ type }) => type)).toEqual(
    expect.arrayContaining(['run', 'evolution', 'tenant', 'reference', 'cell']),
  );
  const fingerprint = expect.stringMatching(/^[0-9a-f]{64}$/) as string;
  expect(parse(before[0]!)).toMatchObject({
    bases: [
      { name: null, fingerprint },
      { name: 'v2', fingerprint },
    ],
  });
  const { code, stdout } = await run(null);
  expect(code).toBe(0);
  const after = await lines();
  expect(after.slice(0, before.length)).toEqual(before);
  const keys = after
    .map(parse)
    .filter(({ type }) => type !== 'run' && type !== 'begun')
    .map(({ key }) => key);
  expect(keys).toHaveLength(10);
  expect(new Set(keys).size).toBe(10);
  expect(JSON.parse(stdout)).toMatchObject({ experiment: 'tiny', planned: 10, measured: 10, failed: 0 });
  const report = await readFile(path.join(folder, 'report.md'), 'utf8');
  for (const [, file] of report.matchAll(/\]\((\S+\.svg)\)/g))
    expect(await readFile(path.join(folder, file!), 'utf8')).toContain('<svg');
  const drawn = after.map(parse).find((record) => record.type === 'cell' && record.strategy === 'scratch') as Extract<
    ResultRecord,
    { type: 'cell' }
  >;
  expect(drawn).toMatchObject({
    state: 'not_ready',
    steps: 2,
    cpuMs: expect.any(Number) as number,
    load: expect.any(Number) as number,
    final: { right: expect.stringMatching(/^[01]{12}$/) as string },
  });
  // The job with `known_old` gets its target from the measurement that was made for it.
  const told = after.map(parse).find((record) => record.type === 'cell' && record.strategy === 'tuned') as Extract<
    ResultRecord,
    { type: 'cell' }
  >;
  expect(told.target).toBe(told.baselines!.old);
  expect(told.target).not.toBeNull();
  expect(told.oldMs).toBeGreaterThan(0);
  expect(drawn).not.toHaveProperty('oldMs');
});
