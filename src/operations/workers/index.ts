export {
  presentWorkers,
  recordWorkerStop,
  removeOldWorkers,
  writeHeartbeat,
  type NewWorker,
  type WorkerReport,
  type WorkerRow,
} from './worker.repository.ts';
export { registerWorkerMetrics } from './worker-metrics.ts';
