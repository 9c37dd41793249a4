import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import { ranOutOfMemory } from '../../../workers/training/training-errors.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  type TinyFamily,
} from '../../unit/training/support/tiny-task.ts';
import { logger } from '../queue/test-queue.ts';
import { createLargeFamily } from './large-family.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';
import { plainJob } from '../../unit/training/support/tiny-job.ts';

const never = new AbortController().signal;
const ignore = (): Promise<void> => Promise.resolve();
const ADVICE =
  'MiB resident when last seen: use a smaller batch size, run fewer workers on this machine, ' +
  'or give this one more memory';

describe('a training process that may take no more address space', () => {
  let tiny: TinyFamily;
  let large: TinyFamily;
  let training: TrainingProcess;

  beforeAll(async () => {
    tiny = await createTinyFamily();
    large = await createLargeFamily({ layers: 10 });
    training = createTrainingProcess({ logger, bases: { threads: 1 } });
  });
  afterAll(async () => {
    await training.stop();
    await removeTinyFamily(tiny);
    await removeTinyFamily(large);
  });

  it('fails its request as out of memory, and the next one has a fresh process', async () => {
    const bases = await training.acquire(never);
    await bases.adapt(plainJob(tiny, 'before', { options: { strategy: 'reuse' } }), ignore, never);
    const pid = training.pid!;
    // Thread stacks and the like still fit.
    await limitAddressSpace(pid, 64 << 20);
    // This base's weights alone exceed the process's free address space by far.
    const spec = plainJob(large, 'large', { options: { strategy: 'reuse' } });
    const error: unknown = await bases.adapt(spec, ignore, never).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(ranOutOfMemory(error), String(error)).toBe(true);
    expect(error).toMatchObject({ code: 'out_of_memory', message: expect.stringMatching(ADVICE) as unknown });
    expect((await bases.adapt(spec, ignore, never)).state).toBe('not_ready');
    expect(training.pid).not.toBe(pid);
    bases.release();
  });
});

/** Limits a running process's address space to its present size plus `moreBytes`. */
async function limitAddressSpace(pid: number, moreBytes: number): Promise<void> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const used = 1024 * Number(/^VmSize:\s+(\d+) kB$/m.exec(status)![1]);
  await promisify(execFile)('prlimit', ['--pid', String(pid), `--as=${used + moreBytes}`]);
}

describe('a worker whose training process has a small heap', () => {
  const { NODE_OPTIONS } = process.env;
  let fleet: TinyFleet;

  beforeAll(async () => {
    fleet = await createTinyFleet({ adapters: 2 });
    process.env.NODE_OPTIONS = '--max-old-space-size=64';
  });
  afterEach(() => {
    process.env.NODE_OPTIONS = NODE_OPTIONS ?? '';
  });
  afterAll(() => fleet.close());

  test('fails the job that does not fit after one more try, and does the others', async () => {
    // The prompts alone take 79 MiB. Few long ones fill the heap with fewer collections than many short ones.
    const long = 'sweet and sour '.repeat(69_000);
    await fleet.replaceData(
      0,
      tasteRows(80).map((row) => ({ ...row, prompt: `${long}${row.prompt}` })),
    );
    await fleet.startWorker({ quarantine: { firstDelayMs: 50 } });
    const jobs = await fleet.ended(await fleet.begin({ strategy: 'reuse' }));
    const [failed, done] = ['failed', 'not_ready'].map((state) => jobs.find((job) => job.state === state));
    expect(failed).toMatchObject({ attempt: 2, error: { code: 'out_of_memory' } });
    expect(failed!.error!.detail).toMatch(/JavaScript heap out of memory/);
    expect(failed!.error!.detail).toMatch(ADVICE);
    expect(done).toMatchObject({ attempt: 1, error: { code: 'gate_not_reached' } });
  });
});
