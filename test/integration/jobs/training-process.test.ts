import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  AbandonedError,
  TrainingCrashedError,
  TrainingFailedError,
} from '../../../workers/training/training-errors.ts';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { Behavior } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { PATIENCE_MS } from '../../patience.ts';
import { logger } from '../queue/test-queue.ts';

const ENTRY = fileURLToPath(new URL('./scripted-training.ts', import.meta.url));
const never = new AbortController().signal;
const ignore = (): Promise<void> => Promise.resolve();

let folder: string;
let training: TrainingProcess;
let requests = 0;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-training-'));
  await mkdir(path.join(folder, 'old'));
  await writeFile(path.join(folder, 'old', 'behavior.json'), '{}');
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  training = createTrainingProcess({ logger, entry: ENTRY, cancelGraceMs: PATIENCE_MS });
});
afterEach(() => training.stop());

async function specOf(behavior: Behavior): Promise<JobSpec> {
  const newBase = path.join(folder, `base-${requests++}`);
  await mkdir(newBase);
  await writeFile(path.join(newBase, 'behavior.json'), JSON.stringify(behavior));
  return {
    jobId: 'job_1',
    kind: 'adaptation',
    oldBase: path.join(folder, 'old'),
    newBase,
    adapter: folder,
    data: { file: path.join(folder, 'none') },
    metric: 'accuracy',
    gate: { kind: 'absolute', target: 0.8 },
    evolution: null,
    options: {},
    workDir: path.join(folder, 'work'),
  };
}

test('passes events on in order and waits for a publication to be durable', async () => {
  const slot = await training.acquire(never);
  const seen: string[] = [];
  const onEvent = async (event: JobEvent): Promise<void> => {
    if (event.type === 'publication') await new Promise((resolve) => setTimeout(resolve, 30));
    seen.push(event.type === 'phase' ? event.phase : event.type);
  };
  const outcome = await slot.adapt(await specOf({ publications: 2 }), onEvent, never);
  expect(outcome).toMatchObject({ state: 'ready', best: { strategy: 'relora' } });
  expect(seen).toEqual([
    'prepare',
    'row_format',
    'warning',
    'warning',
    'old_measured',
    'anchor',
    'baselines',
    'initialize',
    'search',
    'fine_tune',
    'progress',
    'candidate',
    'points',
    'progress',
    'candidate',
    'points',
    'evaluate',
    'publication',
    'publication',
  ]);
});

test('stays warm between requests', async () => {
  const slot = await training.acquire(never);
  await slot.describe({ base: path.join(folder, 'old') }, never);
  const { pid } = training;
  await slot.describe({ base: path.join(folder, 'old') }, never);
  expect(training.pid).toBe(pid);
  expect(pid).toBeGreaterThan(0);
});

test('a process that is killed fails its request, and the next request has a new one', async () => {
  const slot = await training.acquire(never);
  const spec = await specOf({ crashOnce: path.join(folder, 'crashed-here') });
  await expect(slot.adapt(spec, ignore, never)).rejects.toThrow(TrainingCrashedError);
  expect((await slot.adapt(spec, ignore, never)).state).toBe('ready');
});

test('a script that does not start is a crash, not a wait', async () => {
  const broken = createTrainingProcess({ logger, entry: path.join(folder, 'not-there.ts') });
  const slot = await broken.acquire(never);
  await expect(slot.describe({ base: folder }, never)).rejects.toThrow('the training process ended (exit code 1)');
});

test('a failure carries its code and whether trying again can help', async () => {
  const slot = await training.acquire(never);
  const failed = slot.adapt(await specOf({ outcome: 'permanent' }), ignore, never);
  await expect(failed).rejects.toThrow(TrainingFailedError);
  await expect(failed).rejects.toMatchObject({ code: 'invalid_dataset', permanent: true });
  await expect(slot.adapt(await specOf({ outcome: 'transient' }), ignore, never)).rejects.toMatchObject({
    code: 'ENOSPC',
    permanent: false,
  });
});

test('cancelling ends a running request, and the process lives on', async () => {
  const slot = await training.acquire(never);
  const controller = new AbortController();
  const spec = await specOf({ hang: true });
  const running = slot.adapt(
    spec,
    async (event) => {
      if (event.type === 'progress' && event.step === 2) controller.abort();
    },
    controller.signal,
  );
  expect((await running).state).toBe('cancelled');
  const { pid } = training;
  expect((await slot.adapt(await specOf({}), ignore, never)).state).toBe('ready');
  expect(training.pid).toBe(pid);
});

test('a request that does not stop when cancelled is killed', async () => {
  const hasty = createTrainingProcess({ logger, entry: ENTRY, cancelGraceMs: 300 });
  const slot = await hasty.acquire(never);
  const controller = new AbortController();
  const spec = await specOf({ hang: true, deaf: true });
  const running = slot.adapt(
    spec,
    async (event) => {
      if (event.type === 'progress' && event.step === 2) controller.abort();
    },
    controller.signal,
  );
  await expect(running).rejects.toThrow('the training process ended (SIGKILL)');
  await hasty.stop();
});

test('a request that nobody needs any more is not waited for, and a new process stands ready', async () => {
  const patient = createTrainingProcess({ logger, entry: ENTRY, cancelGraceMs: 60_000, abandonGraceMs: 50 });
  const slot = await patient.acquire(never);
  const controller = new AbortController();
  let pid: number | undefined;
  const running = slot.adapt(
    await specOf({ hang: true, deaf: true }),
    async (message) => {
      if (message.type !== 'progress' || message.step !== 2) return;
      ({ pid } = patient);
      controller.abort(new AbandonedError('the rollout was cancelled'));
    },
    controller.signal,
  );
  await expect(running).rejects.toThrow('the training process ended (SIGKILL)');
  const successor = patient.pid;
  expect(successor).toBeGreaterThan(0);
  expect(successor).not.toBe(pid);
  expect((await slot.adapt(await specOf({}), ignore, never)).state).toBe('ready');
  expect(patient.pid).toBe(successor);
  await patient.stop();
});

test('a request that is cancelled while the process starts does not wait for it', async () => {
  const slot = await training.acquire(never);
  const controller = new AbortController();
  const starting = slot.adapt(await specOf({ hang: true, deaf: true }), ignore, controller.signal);
  controller.abort(new Error('stopping'));
  await expect(starting).rejects.toThrow('stopping');
  expect((await slot.adapt(await specOf({}), ignore, never)).state).toBe('ready');
});

test('a process that is stopped while it starts ends its requests, and leaves nothing to wait for', async () => {
  const slot = await training.acquire(never);
  const ended = slot.adapt(await specOf({}), ignore, never).catch((error: Error) => error.message);
  await training.stop();
  expect(await Promise.race([ended, setImmediate('still waiting')])).toContain('the training process ended');
});

test('what a message handler throws cancels the request and is thrown on', async () => {
  const slot = await training.acquire(never);
  const refuse = (event: JobEvent): Promise<void> =>
    event.type === 'publication' ? Promise.reject(new Error('disk full')) : Promise.resolve();
  await expect(slot.adapt(await specOf({}), refuse, never)).rejects.toThrow('disk full');
});

test('is held by one after the other, in order; one that gives up waiting does not let others jump in', async () => {
  const order: string[] = [];
  const first = await training.acquire(never);
  const controller = new AbortController();
  const second = training.acquire(controller.signal);
  const third = training.acquire(never).then((slot) => {
    order.push('third');
    return slot;
  });
  controller.abort(new Error('stopping'));
  await expect(second).rejects.toThrow('stopping');
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(order).toEqual([]);
  order.push('released');
  first.release();
  (await third).release();
  expect(order).toEqual(['released', 'third']);
});

test('ends with stop', async () => {
  const slot = await training.acquire(never);
  await slot.describe({ base: path.join(folder, 'old') }, never);
  const pid = training.pid!;
  await training.stop();
  await eventually('the process is gone', async () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
  await expect(slot.describe({ base: folder }, never)).rejects.toThrow('stopped');
});
