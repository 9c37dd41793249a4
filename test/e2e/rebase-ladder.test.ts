import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiledCommand } from '../compiled/index.ts';
import { readAdapterManifest } from '../../core/formats/peft/adapter-manifest.ts';
import { packagePath } from '../../core/installation/package-path.ts';
import type { CertificateDocument } from '../../core/method/gate/certificate-document.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../unit/training/support/tiny-task.ts';

// Runs the command as a user would, on models that train in seconds.

interface LadderRung {
  readonly rung: string;
  readonly result: string;
  readonly reason: string | null;
  readonly ms: number;
  readonly candidate: { readonly step: number } | null;
  readonly gate: {
    readonly value: number;
    readonly bound: number | null;
    readonly target: number;
    readonly negative_flips: number | null;
    readonly passed: boolean;
  } | null;
}
interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let family: TinyFamily;
let trained: string;

beforeAll(async () => {
  family = await createTinyFamily();
  trained = path.join(family.folder, 'trained');
  const sizes = ['--rank', '4', '--steps', '40', '--batch-size', '8', '--learning-rate', '5e-3'];
  const data = ['--data', family.train, '--validation', family.validation];
  const { code, stderr } = await readapt(
    'train',
    '--base',
    family.oldBase,
    ...data,
    '--out',
    trained,
    '--append-eos',
    'no',
    ...sizes,
  );
  if (code !== 0) throw new Error(stderr);
});
afterAll(() => removeTinyFamily(family));

function readapt(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [compiledCommand(), ...args, '--threads', '1'], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

function rebase(name: string, ...more: string[]): Promise<Run> {
  const bases = ['--old-base', family.oldBase, '--base', family.newBase, '--adapter', trained];
  const out = path.join(family.folder, name);
  return readapt('rebase', ...bases, '--validation', family.validation, '--out', out, '--batch-size', '8', ...more);
}

const ladderOf = ({ stdout }: Run): LadderRung[] => (JSON.parse(stdout) as { ladder: LadderRung[] }).ladder;

describe('readapt rebase --explain', () => {
  it('does not run a rung when an earlier one has passed, and says so', async () => {
    const run = await rebase(
      'easy',
      '--data',
      family.train,
      '--target',
      '0.1',
      '--metric',
      'accuracy',
      '--prefer',
      'new_base',
      '--search-evaluations',
      '0',
      '--explain',
      '--json',
    );
    expect(run.code, run.stderr).toBe(0);
    const [copy, ...rest] = ladderOf(run);
    expect(copy).toMatchObject({ rung: 'copy', result: 'passed', gate: { target: 0.1, bound: null, passed: true } });
    expect(copy!.ms).toBeGreaterThan(0);
    expect(rest.map(({ rung, result, reason, ms }) => [rung, result, reason, ms])).toEqual(
      ['search', 'fine_tune', 'scratch', 'revert'].map((rung) => [rung, 'not_run', 'copy passed', 0]),
    );
    // The later rungs did not run: they have no candidates, search evaluations or steps.
    expect(run.stderr).toMatch(/^copy /m);
    expect(run.stderr).not.toMatch(/^(revert|search|fine_tune|scratch)/m);
    expect(JSON.parse(run.stdout)).toMatchObject({ steps: 0, strategy: 'reuse', rows: 'training' });
    expect(await readAdapterManifest(path.join(family.folder, 'easy'))).toMatchObject({ strategy: 'reuse' });
    const bytes = (folder: string) => readFile(path.join(folder, 'adapter_model.safetensors'));
    expect((await bytes(path.join(family.folder, 'easy'))).equals(await bytes(trained))).toBe(true);
  });

  it('climbs every rung where none passes, and prints gates and times', async () => {
    const more = [
      '--data',
      family.train,
      '--metric',
      'accuracy',
      '--target',
      '2',
      '--max-steps',
      '20',
      '--evaluate-every',
      '5',
      '--patience',
      '1',
    ];
    const run = await rebase('hard', ...more, '--explain');
    expect(run.code).toBe(1);
    for (const line of [
      /revert .*200\.0 %.*failed/,
      /search .*(200\.0 %.*failed|skipped: it found nothing better than revert)/,
      /fine tune, step \d+ .*failed/,
    ]) {
      expect(run.stdout).toMatch(line);
    }
  });
});

describe('the gate and the rows of readapt rebase', () => {
  it('judges by the bound on the same rows under non-inferiority', async () => {
    const more = [
      '--data',
      family.train,
      '--metric',
      'accuracy',
      '--non-inferior',
      '0.3',
      '--max-negative-flips',
      '0.2',
    ];
    const run = await rebase('shown', ...more, '--max-steps', '30', '--learning-rate', '5e-3', '--json');
    expect(run.code, run.stderr).toBe(0);
    const passed = ladderOf(run).find(({ result }) => result === 'passed')!;
    expect(passed.gate!.bound).toBeLessThan(passed.gate!.value);
    expect(passed.gate!.bound).toBeGreaterThanOrEqual(passed.gate!.target);
    expect(passed.gate!.negative_flips).toBeLessThanOrEqual(0.2);
  });

  it('without training rows trains nothing, and says what it was made of', async () => {
    const few = path.join(family.folder, 'few');
    await mkdir(few);
    const validation = path.join(few, 'validation.jsonl');
    await writeFile(validation, toJsonl(tasteRows(60, 700)));
    const run = await rebase('held-out', '--validation', validation, '--metric', 'accuracy', '--target', '2', '--json');
    expect(run.code).toBe(1);
    expect(JSON.parse(run.stdout)).toMatchObject({ rows: 'validation_only', steps: 0 });
    const trained = ladderOf(run).filter(({ rung }) => rung === 'fine_tune' || rung === 'scratch');
    expect(trained.map(({ result, reason }) => [result, reason])).toEqual(
      Array(2).fill(['skipped', 'no training rows are shared']),
    );
  });

  const INCONCLUSIVE_CANDIDATE =
    'stops after an inconclusive candidate where rows are too few as a rule, unless it is asked to go on';
  it(INCONCLUSIVE_CANDIDATE, async () => {
    const demo = (...parts: string[]) => packagePath(path.join('examples/demo-family', ...parts));
    const validation = path.join(family.folder, 'agnews.jsonl');
    const lines = (await readFile(demo('data/agnews/validation.jsonl'), 'utf8')).split('\n');
    await writeFile(validation, lines.slice(0, 120).join('\n'));
    const rebaseDemo = (name: string, ...more: string[]) => {
      const bases = ['--old-base', demo('v1'), '--base', demo('v2'), '--adapter', demo('adapters/agnews')];
      const rows = ['--data', demo('data/agnews/train-small.jsonl'), '--validation', validation];
      const out = ['--out', path.join(family.folder, name), '--json'];
      return readapt('rebase', ...bases, ...rows, ...out, '--margin', '0.06', ...more);
    };
    const held = await rebaseDemo('held', '--search-evaluations', '4', '--search-rows', '32');
    expect(held.code, held.stderr).toBe(1);
    const { steps, certificate } = JSON.parse(held.stdout) as { steps: number; certificate: CertificateDocument };
    expect(steps).toBe(0);
    expect(certificate).toMatchObject({ verdict: 'inconclusive', rows: 80, looks: 1 });
    expect(certificate.rows_needed).toBeGreaterThan(80);
    expect(ladderOf(held).map(({ rung, result }) => `${rung} ${result}`)).toEqual([
      'revert skipped',
      'search inconclusive',
      'copy failed',
      'fine_tune skipped',
      'scratch skipped',
    ]);
    expect(ladderOf(held).at(-1)!.reason).toMatch(
      /^search is inconclusive, and .* with a probability of more than 50 %$/,
    );
    const going = ['--least-power', '0', '--search-evaluations', '0', '--max-steps', '2', '--evaluate-every', '2'];
    const on = await rebaseDemo('on', ...going);
    expect((JSON.parse(on.stdout) as { steps: number }).steps).toBe(2);
  });
});
