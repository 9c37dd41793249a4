import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { combineHandlers, startConsumer, type Consumer } from '../../../src/platform/queue/index.ts';
import type { QueueBackend } from '../../../src/platform/queue/backend.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { eventually } from '../../eventually.ts';
import { createTestQueue, logger, queueKind, type TestQueue } from './test-queue.ts';

let queue: TestQueue;
let consumer: Consumer | null = null;

beforeAll(async () => {
  queue = await createTestQueue();
});
afterEach(async () => {
  await consumer?.stop();
  consumer = null;
  await queue.clear();
});
afterAll(() => queue.close());

test(`a resting worker begins no job that waits for the end of another (queue on ${queueKind})`, async () => {
  const turns: Promise<unknown>[] = [];
  const backend: QueueBackend = {
    ...queue.backend,
    createWorker: (name, processor, tuning) => {
      const noted: typeof processor = (...job) => {
        const turn = processor(...job);
        if (name === 'adaptations') turns.push(turn.catch(() => undefined));
        return turn;
      };
      return queue.backend.createWorker(name, noted, tuning);
    },
  };
  let isPlanning = false;
  let endPlanning = (): void => undefined;
  const planned = new Promise<void>((resolve) => (endPlanning = resolve));
  const runs: string[] = [];
  const others = () => Promise.resolve();
  consumer = await startConsumer({
    backend,
    logger,
    handlers: combineHandlers([
      {
        'rollout.plan': () => ((isPlanning = true), planned),
        'rollout.forecast': others,
        'baselines.measure': others,
        'outcomes.measure': others,
        'adaptation.provision': others,
        'adaptation.run': ({ jobId }) => (runs.push(jobId), Promise.resolve()),
      },
    ]),
  });
  const [rolloutId, jobId] = [newId('rollout'), newId('job')];
  await queue.producer.enqueue([{ name: 'rollout.plan', id: rolloutId, payload: { rolloutId } }]);
  await eventually('it plans', () => Promise.resolve(isPlanning));
  await queue.producer.enqueue([{ name: 'adaptation.run', id: jobId, payload: { jobId } }]);
  await eventually('the job waits for its turn', () => Promise.resolve(turns.length > 0));
  const resting = consumer.rest();
  endPlanning();
  await resting;
  await Promise.all(turns);
  expect(runs).toEqual([]);
  consumer.resume();
  await eventually('it runs', () => Promise.resolve(runs.length > 0));
  expect(runs).toEqual([jobId]);
});
