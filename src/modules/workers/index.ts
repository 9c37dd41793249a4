export { createWorkerRepository, type NewWorker, type WorkerReport } from './worker.repository.ts';
export { registerWorkerMetrics } from './worker-metrics.ts';
