/** A worker with the scripted training process, in a process of its own that a test can kill. */
import { modulePath } from '../../../core/installation/child-module.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createTrainingProcess } from '../../../workers/training/training-process.ts';
import { startWorker } from '../../../workers/main.ts';

const config = loadConfig(process.env);
const logger = createLogger({ level: config.logLevel, pretty: false });
const entry = modulePath('./scripted-training', import.meta.url);
const training = createTrainingProcess({ logger, entry });
const times = { leaseMs: 1500, heartbeatMs: 100, lockMs: 1500, stalledCheckMs: 500, sweepMs: 300, registrationMs: 200 };
await startWorker(config, { training, logger }, times);
setInterval(() => process.send?.({ trainingPid: training.pid ?? null }), 50);
