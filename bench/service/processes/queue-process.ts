import { appendFileSync } from 'node:fs';
import { combineHandlers, createQueueBackend, startConsumer } from '../../../src/jobs/index.ts';
import { createLogger } from '../../../src/lib/logger.ts';

/** A worker whose jobs do nothing. It writes the identifier of each job that it runs to the file that it is given. */
const [, , file = '', databaseUrl = '', redisUrl = ''] = process.argv;
const backend = createQueueBackend({ databaseUrl, redisUrl: redisUrl === '' ? null : redisUrl });
const consumer = await startConsumer({
  backend,
  logger: createLogger({ level: 'warn', pretty: false }),
  handlers: combineHandlers([
    {
      'rollout.plan': () => Promise.resolve(),
      'baselines.measure': () => Promise.resolve(),
      'outcomes.measure': () => Promise.resolve(),
    },
    {
      'adaptation.run': ({ jobId }) => {
        appendFileSync(file, `${jobId}\n`);
        return Promise.resolve();
      },
    },
  ]),
});
process.send?.({ started: true });
process.once('SIGTERM', () => {
  void consumer.stop().then(() => process.exit(0));
});
// It does not outlive the bench.
process.once('disconnect', () => process.exit(1));
