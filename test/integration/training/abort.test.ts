import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cpuMs } from '../../processor-time.ts';
import { AbandonedError } from '../../../workers/training/training-errors.ts';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import {
  createTrainingProcess,
  type TrainingProcess,
  type TrainingSlot,
} from '../../../workers/training/training-process.ts';
import { CheckpointStore } from '../../../core/training/checkpoint.ts';
import { removeTinyFamily, type TinyFamily } from '../../unit/training/support/tiny-task.ts';
import { logger } from '../queue/test-queue.ts';
import { createLargeFamily } from './large-family.ts';
import { tinyJob } from '../../unit/training/support/tiny-job.ts';

/** Time that a cancelled job has before its process is killed, in milliseconds. */
const GRACE_MS = 50_000;

/** Processor time in milliseconds after a checkpoint, when the next micro-batch has started but is far from its end. */
const INTO_MICRO_BATCH_MS = 100;

let family: TinyFamily;
let training: TrainingProcess;
let slot: TrainingSlot;

beforeAll(async () => {
  family = await createLargeFamily({ layers: 10 });
  training = createTrainingProcess({ logger, bases: { threads: 1 }, cancelGraceMs: GRACE_MS });
  slot = await training.acquire(new AbortController().signal);
});
afterAll(async () => {
  await training.stop();
  await removeTinyFamily(family);
});

/** Runs the job, resuming from its checkpoint if there is one. Each step is one micro-batch and writes a checkpoint. */
function run() {
  const controller = new AbortController();
  const waiting = new Set<(event: JobEvent) => void>();
  const onEvent = (event: JobEvent): void => waiting.forEach((notice) => notice(event));
  const spec = tinyJob(family, 'job', { options: { batch_size: 9, max_steps: 50, evaluate_every: 1 } });
  const outcome = slot.adapt(spec, onEvent, controller.signal);
  outcome.catch(() => undefined);
  const next = <T>(find: (event: JobEvent) => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const notice = (event: JobEvent): void => {
        const found = find(event);
        if (found === undefined) return;
        waiting.delete(notice);
        resolve(found);
      };
      waiting.add(notice);
    });
  return {
    outcome,
    /** Waits for the next finished step. @returns its number */
    step: () => next((event) => (event.type === 'progress' ? event.step : undefined)),
    /**
     * Waits for the next step after which the adapter was measured on the search rows. Then the checkpoint is written
     * and a micro-batch starts.
     * @returns its number
     */
    watched: () => next((event) => (event.type === 'watched' && event.watched.step) || undefined),
    abort: (reason: Error) => controller.abort(reason),
  };
}

/** Number of optimizer steps in the job's newest checkpoint. */
async function savedStep(): Promise<number> {
  const checkpoint = await new CheckpointStore(path.join(family.folder, 'jobs', 'job', 'checkpoints')).latest();
  return (checkpoint!.state as { training: { trainer: { step: number } } }).training.trainer.step;
}

/** Stops the process in the middle of a micro-batch, until SIGCONT. @returns the step of its newest checkpoint */
async function freeze({ watched }: ReturnType<typeof run>): Promise<number> {
  const pid = training.pid!;
  for (;;) {
    const step = await watched();
    await expect.poll(savedStep).toBeGreaterThanOrEqual(step);
    const { own: before } = await cpuMs(pid);
    await expect.poll(async () => (await cpuMs(pid)).own - before).toBeGreaterThanOrEqual(INTO_MICRO_BATCH_MS);
    process.kill(pid, 'SIGSTOP');
    // If this came too late for the micro-batch after the checkpoint, waits for the next one.
    if ((await savedStep()) === step) return step;
    process.kill(pid, 'SIGCONT');
  }
}

test('in the middle of a micro-batch, a cancelled job ends at once; one that is stopped, at its end', async ({
  annotate,
}) => {
  const first = run();
  const saved = await freeze(first);
  const pid = training.pid;
  const aborted = performance.now();
  first.abort(new AbandonedError('the job was cancelled'));
  await expect(first.outcome).rejects.toThrow('the training process ended (SIGKILL)');
  const abortMs = performance.now() - aborted;
  await annotate(`stopped ${Math.round(abortMs)} ms after the cancellation`);
  // A job that is only asked to stop gets this time to end.
  expect(abortMs).toBeLessThan(GRACE_MS);
  expect(await savedStep()).toBe(saved);

  // A new process is already loading the base and will resume from the last checkpoint.
  const successor = training.pid;
  expect(successor).toBeGreaterThan(0);
  expect(successor).not.toBe(pid);
  const second = run();
  expect(await second.step(), 'says where it goes on from').toBe(saved);
  expect(await second.step()).toBe(saved + 1);
  const reached = await freeze(second);
  second.abort(new Error('the worker is stopping'));
  process.kill(successor!, 'SIGCONT');
  expect(await second.outcome).toMatchObject({ state: 'cancelled', steps: reached + 1 });
  expect(await savedStep()).toBe(reached + 1);
  expect(training.pid).toBe(successor);
});
