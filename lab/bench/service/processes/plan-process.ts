import { createQueueProducer, createQueueBackend } from '../../../../src/platform/queue/index.ts';
import { createDatabase } from '../../../../src/platform/database/database.ts';
import { createLogger } from '../../../../src/lib/logger.ts';
import { createAnalyzed } from '../fleet.ts';

/** Process that plans and enqueues an analyzed rollout on its first message, and sends the times and memory. */
const [, , baseModelVersionId = '', databaseUrl = '', redisUrl = ''] = process.argv;
const db = createDatabase(databaseUrl);
const backend = createQueueBackend({ databaseUrl, redisUrl: redisUrl === '' ? null : redisUrl });
const producer = await createQueueProducer({ db, backend, logger: createLogger({ level: 'warn', pretty: false }) });
const { lifecycle, request } = await createAnalyzed(db, baseModelVersionId);
process.once('message', () => void measure());
process.send?.({ ready: true });

async function measure(): Promise<void> {
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
    // `maxRSS` is in KiB.
    grownMiB: (maxRSS - before.maxRSS) / 1024,
    peakMiB: maxRSS / 1024,
  });
}

// The connections stay open until SIGTERM, since the benchmark adds up the processor time of their PostgreSQL
// processes.
process.once('SIGTERM', () => {
  void producer
    .close()
    .then(() => db.$disconnect())
    .then(() => process.exit(0));
});
// End with the benchmark.
process.once('disconnect', () => process.exit(1));
