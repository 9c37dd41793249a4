import { appendFileSync } from 'node:fs';
import { createQueueBackend, startConsumer, type Handlers } from '../../../../src/platform/queue/index.ts';
import { createLogger } from '../../../../src/lib/logger.ts';

/** Process with a worker whose jobs do nothing. It appends the id of each job that it runs to the given file. */
const [, , file = '', databaseUrl = '', redisUrl = ''] = process.argv;
const handlers: Handlers = {
  'rollout.plan': () => Promise.resolve(),
  'rollout.forecast': () => Promise.resolve(),
  'baselines.measure': () => Promise.resolve(),
  'outcomes.measure': () => Promise.resolve(),
  'adaptation.provision': () => Promise.resolve(),
  'adaptation.run': ({ jobId }) => {
    appendFileSync(file, `${jobId}\n`);
    return Promise.resolve();
  },
};
const backend = createQueueBackend({ databaseUrl, redisUrl: redisUrl === '' ? null : redisUrl });
const consumer = await startConsumer({
  backend,
  logger: createLogger({ level: 'warn', pretty: false }),
  handlers,
});
process.send?.({ started: true });
process.once('SIGTERM', () => {
  void consumer.stop().then(() => process.exit(0));
});
// End with the benchmark.
process.once('disconnect', () => process.exit(1));
