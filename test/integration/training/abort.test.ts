import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
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

let family: TinyFamily;
let training: TrainingProcess;
let slot: TrainingSlot;

beforeAll(async () => {
  family = await createLargeFamily();
  training = createTrainingProcess({ logger, bases: { threads: 1 } });
  slot = await training.acquire(new AbortController().signal);
});
afterAll(async () => {
  await training.stop();
  await removeTinyFamily(family);
});

/**
 * Runs the job and resumes from its checkpoint, if there is one. Each step is one micro-batch and writes a checkpoint.
 */
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
    /** Number of the next step that is done. */
    step: () => next((event) => (event.type === 'progress' ? event.step : undefined)),
    /** Resolves when the adapter was measured on the search rows, after which the checkpoint is written and a micro-batch begins. */
    watched: () => next((event) => (event.type === 'watched' && event.watched.step > 0) || undefined),
    abort: (reason: Error) => controller.abort(reason),
  };
}

/** Number of optimizer steps in the job's newest checkpoint. */
async function savedStep(): Promise<number> {
  const checkpoint = await new CheckpointStore(path.join(family.folder, 'jobs', 'job', 'checkpoints')).latest();
  return (checkpoint!.state as { training: { trainer: { step: number } } }).training.trainer.step;
}

test('in the middle of a micro-batch, a cancelled job ends at once; one that is stopped, at its end', async ({
  annotate,
}) => {
  const first = run();
  await first.watched();
  const begun = performance.now();
  await first.step();
  const microBatchMs = performance.now() - begun;
  await first.watched();
  await expect.poll(savedStep).toBe(2);
  // By then, a micro-batch has begun and is still far from its end.
  const intoMicroBatchMs = microBatchMs / 4;
  await pause(intoMicroBatchMs);
  const pid = training.pid;
  const aborted = performance.now();
  first.abort(new AbandonedError('the job was cancelled'));
  await expect(first.outcome).rejects.toThrow('the training process ended (SIGKILL)');
  const abortMs = performance.now() - aborted;
  await annotate(
    `stopped ${Math.round(abortMs)} ms after the cancellation, in a micro-batch of ${Math.round(microBatchMs)} ms`,
  );
  // Less would not tell an end at once from one after the micro-batch.
  expect(microBatchMs).toBeGreaterThan(200);
  expect(abortMs).toBeLessThan(microBatchMs / 2);
  expect(await savedStep()).toBe(2);

  // A new process is loading the base already, and resumes from the last checkpoint.
  const successor = training.pid;
  expect(successor).toBeGreaterThan(0);
  expect(successor).not.toBe(pid);
  const second = run();
  expect(await second.step(), 'says where it goes on from').toBe(2);
  expect(await second.step()).toBe(3);
  await second.watched();
  await expect.poll(savedStep).toBe(3);
  await pause(intoMicroBatchMs);
  second.abort(new Error('the worker is stopping'));
  expect(await second.outcome).toMatchObject({ state: 'cancelled', steps: 4 });
  expect(await savedStep()).toBe(4);
  expect(training.pid).toBe(successor);
});
