/** Worker with the scripted training process, in a process of its own that a test can kill. */
import { modulePath } from '../../../core/installation/child-module.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { createTrainingProcess } from '../../../workers/training/training-process.ts';
import { startWorker } from '../../../workers/start/start-worker.ts';
import { MORTAL_WORKER_TIMES } from '../queue/worker-times.ts';

const config = loadConfig(process.env);
const logger = createLogger({ level: config.logLevel, pretty: false });
const entry = modulePath('./scripted-training', import.meta.url);
const training = createTrainingProcess({ logger, entry });
const times = { ...MORTAL_WORKER_TIMES, registrationMs: 200, quarantine: { firstDelayMs: 200 } };
await startWorker(config, { training, logger }, times);
setInterval(() => process.send?.({ trainingPid: training.pid ?? null }), 50);
