/** Worker with its real training process, with short intervals to keep rounds short. */
import { loadConfig } from '../../../src/platform/config/config.ts';
import { startWorker } from '../../../workers/start/start-worker.ts';

const quarantine = { firstDelayMs: 300, longestDelayMs: 1000, faults: 3, firstMs: 500, longestMs: 1000 };
await startWorker(
  loadConfig(process.env),
  {},
  { leaseMs: 3000, heartbeatMs: 100, lockMs: 3000, stalledCheckMs: 500, sweepMs: 500, quarantine },
);
