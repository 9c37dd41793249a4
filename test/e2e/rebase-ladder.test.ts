import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAdapterManifest } from '../../core/formats/peft/adapter-manifest.ts';
import type { CertificateDocument } from '../../core/method/gate/certificate-document.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../unit/training/support/tiny-task.ts';
import { readapt, type Run } from '../unit/cli/support/readapt.ts';

// Runs the whole command line in this process, on models that train in seconds.

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
    '--threads',
    '1',
    ...sizes,
  );
  if (code !== 0) throw new Error(stderr);
});
afterAll(() => removeTinyFamily(family));

function rebase(name: string, ...more: string[]): Promise<Run> {
  const bases = ['--old-base', family.oldBase, '--base', family.newBase, '--adapter', trained];
  const given = ['--validation', family.validation, '--out', path.join(family.folder, name), '--batch-size', '8'];
  return readapt('rebase', ...bases, ...given, '--threads', '1', ...more);
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

  const judged = (name: string, ...more: string[]) =>
    rebase(name, '--data', family.train, '--metric', 'accuracy', '--json', ...more);

  it('says how many rows would decide where too few are there to certify anything', async () => {
    const run = await judged('undecided', '--margin', '0.06', '--search-evaluations', '4');
    expect(run.code, run.stderr).toBe(1);
    const { steps, certificate } = JSON.parse(run.stdout) as { steps: number; certificate: CertificateDocument };
    expect(steps).toBe(0);
    expect(certificate).toMatchObject({ verdict: 'inconclusive', rows: 32, looks: 1 });
    expect(certificate.rows_needed).toBeGreaterThan(32);
    expect(ladderOf(run).map(({ rung, result }) => `${rung} ${result}`)).toEqual([
      'revert inconclusive',
      ...['search', 'copy', 'fine_tune', 'scratch'].map((rung) => `${rung} not_run`),
    ]);
  });

  const INCONCLUSIVE_CANDIDATE =
    'trains nothing after an inconclusive candidate where rows are too few as a rule, unless it is asked to go on';
  it(INCONCLUSIVE_CANDIDATE, async () => {
    // Rows on which the copy is sometimes wrong and the reverted adapter never is. A second look certifies only what
    // many rows show.
    const validation = path.join(family.folder, 'many.jsonl');
    await writeFile(validation, toJsonl(tasteRows(300, 2000)));
    const few = ['--validation', validation, '--prefer', 'new_base', '--search-evaluations', '4'];
    const options = [...few, '--margin', '0.14'];
    const held = await judged('held', ...options, '--least-power', '0.95');
    const ladder = ladderOf(held);
    expect(ladder.map(({ rung, result }) => `${rung} ${result}`)).toEqual([
      'copy inconclusive',
      ...['search', 'fine_tune', 'scratch'].map((rung) => `${rung} skipped`),
      'revert passed',
    ]);
    expect(new Set(ladder.slice(1, 4).map(({ reason }) => reason))).toEqual(
      new Set([expect.stringMatching(/^copy is inconclusive, and .* with a probability of more than 95 %$/)]),
    );
    expect(JSON.parse(held.stdout)).toMatchObject({ steps: 0, certificate: { verdict: 'passed' } });

    const going = ['--least-power', '0', '--max-steps', '2', '--evaluate-every', '2'];
    const on = await judged('on', ...options, ...going);
    expect((JSON.parse(on.stdout) as { steps: number }).steps).toBe(2);
  });
});
