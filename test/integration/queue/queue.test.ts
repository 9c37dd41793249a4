import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  combineHandlers,
  createQueueProducer,
  createSweeper,
  PermanentError,
  startConsumer,
  TryLaterError,
  writeOutbox,
  type Consumer,
  type HandlerContext,
  type QueueEntry,
  type QueueProducer,
  type RecoverySource,
} from '../../../src/platform/queue/index.ts';
import type { BackendQueue } from '../../../src/platform/queue/backend.ts';
import { CATALOG, type QueueName } from '../../../src/platform/queue/catalog.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { collectGarbage } from '../../garbage.ts';
import { eventually } from '../../eventually.ts';
import { PATIENCE_MS } from '../../patience.ts';
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

function entry(priority?: number): QueueEntry {
  const id = newId('job');
  return { name: 'adaptation.run', id, payload: { jobId: id }, priority };
}

const outbox = () => queue.database.db.outboxEntry.count();
const commit = (entries: readonly QueueEntry[]) => withTransaction(queue.database.db, (tx) => writeOutbox(tx, entries));

/** Producer with modified queues. */
function producerWith(
  change: (queue: BackendQueue) => Partial<BackendQueue>,
  timeoutMs?: number,
): Promise<QueueProducer> {
  const { backend, database } = queue;
  const createQueue = (name: QueueName) => {
    const made = backend.createQueue(name);
    return Object.assign(made, change(made));
  };
  return createQueueProducer({ db: database.db, backend: { ...backend, createQueue }, logger, timeoutMs });
}

/** Runs adaptations with `work` and returns their identifiers in the order in which they ran. */
async function consume(
  work: (jobId: string, context: HandlerContext) => Promise<void> = () => Promise.resolve(),
  times: { lockMs?: number; stalledCheckMs?: number } = {},
): Promise<string[]> {
  const runs: string[] = [];
  consumer = await startConsumer({
    backend: queue.backend,
    logger,
    handlers: combineHandlers([
      {
        'rollout.plan': () => Promise.resolve(),
        'baselines.measure': () => Promise.resolve(),
        'outcomes.measure': () => Promise.resolve(),
        'rollout.forecast': () => Promise.resolve(),
        'adaptation.provision': () => Promise.resolve(),
      },
      {
        'adaptation.run': async ({ jobId }, context) => {
          runs.push(jobId);
          await work(jobId, context);
        },
      },
    ]),
    ...times,
  });
  return runs;
}

describe(`queue on ${queueKind}`, () => {
  test('is the backend that was asked for', () => {
    expect(queue.backend.kind).toBe(queueKind);
  });

  test('runs what was committed and enqueued, once, and forgets it', async () => {
    const entries = [entry(), entry()];
    await commit(entries);
    expect(await outbox()).toBe(2);
    await queue.producer.enqueueAfterCommit(entries);
    expect(await outbox()).toBe(0);
    expect(await queue.producer.count('adaptations')).toBe(2);
    const runs = await consume();
    await eventually(
      'both have run',
      async () => runs.length === 2 && (await queue.producer.count('adaptations')) === 0,
    );
    expect(new Set(runs)).toEqual(new Set(entries.map(({ id }) => id)));
  });

  test('an entry of a transaction that rolled back is never seen', async () => {
    const lost = withTransaction(queue.database.db, async (tx) => {
      await writeOutbox(tx, [entry()]);
      throw new Error('no');
    });
    await expect(lost).rejects.toThrow('no');
    expect(await outbox()).toBe(0);
  });

  test('the sweeper enqueues what its writer did not', async () => {
    const entries = [entry(), entry(7)];
    await commit(entries);
    const sweeper = createSweeper({ db: queue.database.db, producer: queue.producer, sources: [], logger, graceMs: 0 });
    expect(await sweeper.sweep()).toBe(2);
    expect(await outbox()).toBe(0);
    const runs = await consume();
    await eventually('both have run', async () => runs.length === 2);
  });

  test('the sweeper leaves fresh entries to their writer', async () => {
    await commit([entry()]);
    const sweeper = createSweeper({
      db: queue.database.db,
      producer: queue.producer,
      sources: [],
      logger,
      graceMs: 60_000,
    });
    expect(await sweeper.sweep()).toBe(0);
    expect(await outbox()).toBe(1);
  });

  test('a queue that cannot be reached leaves the entries in the outbox', async () => {
    const entries = [entry()];
    await commit(entries);
    const { backend, database } = queue;
    const cutOff = await createQueueProducer({ db: database.db, backend, logger, timeoutMs: 500 });
    await cutOff.close();
    await cutOff.enqueueAfterCommit(entries);
    expect(await outbox()).toBe(1);
  });

  test('a queue that does not answer holds up the removal of many jobs once, not for each', async () => {
    let asked = 0;
    const remove = () => ((asked += 1), new Promise<number>(() => undefined));
    const cutOff = await producerWith(() => ({ remove }), 200);
    await cutOff.remove(
      'adaptations',
      Array.from({ length: 1000 }, () => newId('job')),
    );
    expect(asked).toBe(100);
    await cutOff.close();
  });

  test('enqueued several times, by writer and sweeper, it runs once', async () => {
    const one = entry();
    await Promise.all([
      queue.producer.enqueue([one]),
      queue.producer.enqueue([one]),
      queue.producer.enqueue([one, one]),
    ]);
    expect(await queue.producer.count('adaptations')).toBe(1);
    const runs = await consume();
    await eventually('it has run', async () => runs.length > 0 && (await queue.producer.count('adaptations')) === 0);
    expect(runs).toEqual([one.id]);
  });

  test('a job that failed for good can be enqueued again', async () => {
    const one = entry();
    await queue.producer.enqueue([one]);
    let broken = true;
    const runs = await consume(() => (broken ? Promise.reject(new PermanentError('broken')) : Promise.resolve()));
    await eventually(
      'it has failed',
      async () => runs.length === 1 && (await queue.producer.count('adaptations')) === 0,
    );
    broken = false;
    await queue.producer.enqueue([one]);
    await eventually(
      'it has run again',
      async () => runs.length === 2 && (await queue.producer.count('adaptations')) === 0,
    );
  });

  test('a transient error is tried again, and the last try is known', async () => {
    await queue.producer.enqueue([entry()]);
    const last: boolean[] = [];
    const runs = await consume((_id, context) => {
      last.push(context.lastAttempt);
      return runs.length < 2 ? Promise.reject(new Error('later')) : Promise.resolve();
    });
    await eventually(
      'the second try',
      async () => runs.length === 2 && (await queue.producer.count('adaptations')) === 0,
    );
    expect(last).toEqual([false, false]);
  });

  test('a job put off does not use up a try', async () => {
    await queue.producer.enqueue([entry()]);
    const last: boolean[] = [];
    const runs = await consume((_id, context) => {
      last.push(context.lastAttempt);
      return runs.length < 7 ? Promise.reject(new TryLaterError('held', 10)) : Promise.resolve();
    });
    await eventually(
      'the seventh try',
      async () => runs.length === 7 && (await queue.producer.count('adaptations')) === 0,
    );
    expect(last).not.toContain(true);
  });

  test('a payload that does not fit its schema never reaches the handler', async () => {
    const bad = { name: 'adaptation.run', id: newId('job'), payload: { jobId: 'x' } } as QueueEntry;
    await queue.producer.enqueue([bad]);
    const runs = await consume();
    await eventually('it is gone', async () => (await queue.producer.count('adaptations')) === 0);
    expect(runs).toEqual([]);
  });

  test('a job of a newer version stays in the queue, and its worker goes on', async () => {
    const fromLater = queue.backend.createQueue('adaptations');
    const id = newId('job');
    const opts = { jobId: id, attempts: 1, removeOnComplete: true, removeOnFail: true };
    await fromLater.addBulk([{ name: 'adaptation.measure-again', data: { jobId: id, more: 1 }, opts }]);
    const known = entry();
    await queue.producer.enqueue([known]);
    const old = await consume();
    await eventually(
      'the known job has run',
      async () => old.length === 1 && (await queue.producer.count('adaptations')) === 1,
    );
    // Old workers receive the unknown job repeatedly.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(await queue.producer.count('adaptations')).toBe(1);
    await consumer?.stop();
    // A worker that knows the name receives it.
    const done: unknown[] = [];
    const newer = queue.backend.createWorker('adaptations', async ({ name, data }) => void done.push([name, data]), {
      concurrency: 1,
      lockDuration: 5000,
      stalledInterval: 500,
      maxStalledCount: 5,
    });
    try {
      await eventually('the newer worker runs it', async () => done.length === 1);
    } finally {
      await newer.close();
      await fromLater.close();
    }
    expect(done).toEqual([['adaptation.measure-again', { jobId: id, more: 1 }]]);
  });

  test('the sweeper leaves entries of a newer version in the outbox, and enqueues those behind them', async () => {
    const known = entry();
    const payload = { name: 'adaptation.measure-again', payload: { jobId: newId('job') } };
    await queue.database.db.outboxEntry.createMany({
      data: Array.from({ length: 1001 }, (_, index) => ({ queue: 'adaptations', jobId: `later-${index}`, payload })),
    });
    await queue.database.db.outboxEntry.create({ data: { queue: 'of-a-newer-version', jobId: 'later', payload } });
    await commit([known]);
    const lost = entry();
    const source: RecoverySource = {
      queue: 'adaptations',
      expired: () => Promise.resolve([]),
      countLive: () => Promise.resolve(2),
      live: () => Promise.resolve([known, lost].map((one) => ({ rowId: one.id, entry: one }))),
    };
    const { producer, database } = queue;
    const sweeper = createSweeper({ db: database.db, producer, sources: [source], logger, graceMs: 0 });
    // Unknown entries do not count as jobs about to be enqueued.
    expect(await sweeper.sweep()).toBe(2);
    expect(await outbox()).toBe(1002);
    expect(await queue.producer.count('adaptations')).toBe(2);
  });

  test('jobs with a priority come after those without', async () => {
    const controls = [entry(10), entry(10)];
    const adaptations = [entry(), entry()];
    await queue.producer.enqueue([...controls, ...adaptations]);
    const runs = await consume();
    await eventually('all have run', async () => runs.length === 4);
    expect(new Set(runs.slice(0, 2))).toEqual(new Set(adaptations.map(({ id }) => id)));
  });

  test('a removed job does not run', async () => {
    const [first, second] = [entry(), entry()];
    await queue.producer.enqueue([first, second]);
    await queue.producer.remove('adaptations', [first.id]);
    const runs = await consume();
    await eventually('the other has run', async () => runs.length === 1);
    expect(runs).toEqual([second.id]);
  });

  test('what the queue lost altogether comes back from the rows', async () => {
    const entries = Array.from({ length: 5 }, () => entry()).sort((a, b) => (a.id < b.id ? -1 : 1));
    const source: RecoverySource = {
      queue: 'adaptations',
      expired: () => Promise.resolve([]),
      countLive: () => Promise.resolve(entries.length),
      live: (after, limit) => {
        const page = entries.filter(({ id }) => id > after).slice(0, limit);
        return Promise.resolve(page.map((one) => ({ rowId: one.id, entry: one })));
      },
    };
    await queue.producer.enqueue(entries.slice(0, 2));
    const sweeper = createSweeper({ db: queue.database.db, producer: queue.producer, sources: [source], logger });
    expect(await sweeper.sweep()).toBe(3);
    expect(await queue.producer.count('adaptations')).toBe(5);
    expect(await sweeper.sweep()).toBe(0);
  });

  test('stopping tells a running job, which goes back to the queue', async () => {
    const one = entry();
    await queue.producer.enqueue([one]);
    const runs = await consume(
      (_id, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new TryLaterError('stopping', 0)));
        }),
    );
    await eventually('it runs', async () => runs.length === 1);
    await consumer?.stop();
    expect(await queue.producer.count('adaptations')).toBe(1);
    const again = await consume();
    await eventually('it runs again', async () => again.length === 1);
  });

  test('tells a job that its time is up, also after a garbage collection', async () => {
    const { timeoutMs } = CATALOG['adaptation.run'];
    Object.assign(CATALOG['adaptation.run'], { timeoutMs: 500 });
    let reason: unknown;
    await queue.producer.enqueue([entry()]);
    await consume(async (_id, { signal }) => {
      signal.addEventListener('abort', () => (reason = signal.reason));
      for (let turn = 0; turn < 10; turn++) {
        await nextTurn();
        collectGarbage();
      }
      await eventually('its time is up', async () => signal.aborted);
    });
    await eventually('it was told', async () => reason !== undefined).finally(() =>
      Object.assign(CATALOG['adaptation.run'], { timeoutMs }),
    );
    expect(reason).toMatchObject({ name: 'TimeoutError' });
  });

  test('enqueues 1,000 jobs in bulk and runs each once', async () => {
    const entries = Array.from({ length: 1000 }, () => entry());
    await commit(entries);
    const commands: number[] = [];
    const producer = await producerWith((made) => {
      const addBulk = made.addBulk.bind(made);
      return { addBulk: (jobs) => (commands.push(jobs.length), addBulk(jobs)) };
    }, PATIENCE_MS);
    await producer.enqueueAfterCommit(entries);
    await producer.close();
    expect(commands).toEqual([1000]);
    expect(await outbox()).toBe(0);
    const runs = await consume();
    await eventually('all have run', async () => runs.length >= 1000);
    expect(new Set(runs).size).toBe(1000);
    expect(runs.length).toBe(1000);
  });
});

describe('the catalog', () => {
  const handler = () => Promise.resolve();

  test('wants exactly one handler a job', () => {
    expect(() => combineHandlers([{ 'rollout.plan': handler }])).toThrow('adaptation.run has 0 handlers');
    const all = {
      'rollout.plan': handler,
      'adaptation.run': handler,
      'baselines.measure': handler,
      'outcomes.measure': handler,
    };
    expect(() => combineHandlers([all, { 'rollout.plan': handler }])).toThrow('rollout.plan has 2 handlers');
    expect(() => combineHandlers([{ ...all, other: handler } as never])).toThrow('handler for other');
  });
});
