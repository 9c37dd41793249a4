import { createJobProducer, createQueueBackend } from '../../../../src/jobs/index.ts';
import { createDatabase } from '../../../../src/lib/database.ts';
import { createLogger } from '../../../../src/lib/logger.ts';
import { createAnalyzed } from '../fleet.ts';

/** Plans and enqueues a rollout as a worker does once its analysis has ended, when it is told to, and sends what that took. */
const [, , baseModelVersionId = '', databaseUrl = '', redisUrl = ''] = process.argv;
const db = createDatabase(databaseUrl);
const backend = createQueueBackend({ databaseUrl, redisUrl: redisUrl === '' ? null : redisUrl });
const producer = await createJobProducer({ db, backend, logger: createLogger({ level: 'warn', pretty: false }) });
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
    // In KiB on Linux.
    grownMiB: (maxRSS - before.maxRSS) / 1024,
    peakMiB: maxRSS / 1024,
  });
}

// The connections stay until then, since the bench adds up the processor time of their processes.
process.once('SIGTERM', () => {
  void producer
    .close()
    .then(() => db.$disconnect())
    .then(() => process.exit(0));
});
// It does not outlive the bench.
process.once('disconnect', () => process.exit(1));
