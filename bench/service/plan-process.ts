import { createJobProducer, createQueueBackend } from '../../src/jobs/index.ts';
import { createDatabase } from '../../src/lib/database.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createAnalyzed } from './fleet.ts';

/** Plans and enqueues a rollout as a worker does once its analysis has ended, and sends what that took. */
const [, , baseModelVersionId = '', databaseUrl = '', redisUrl = ''] = process.argv;
const db = createDatabase(databaseUrl);
const backend = createQueueBackend({ databaseUrl, redisUrl: redisUrl === '' ? null : redisUrl });
const producer = await createJobProducer({ db, backend, logger: createLogger({ level: 'warn', pretty: false }) });
const { lifecycle, request } = await createAnalyzed(db, baseModelVersionId);
const before = process.resourceUsage();
const began = performance.now();
const jobs = await lifecycle.plan(request, new Map(), (entries) => producer.enqueueAfterCommit(entries));
const ms = performance.now() - began;
const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
process.send?.({
  rolloutId: request.id,
  jobs,
  ms,
  cpuMs: (userCPUTime + systemCPUTime - before.userCPUTime - before.systemCPUTime) / 1000,
  // In KiB on Linux.
  grownMiB: (maxRSS - before.maxRSS) / 1024,
  peakMiB: maxRSS / 1024,
});
await producer.close();
await db.$disconnect();
