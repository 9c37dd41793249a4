export { createReconciler } from './sync/reconciler.ts';
export { createSyncMetrics } from './sync/sync-metrics.ts';
export { SYNC_TIMES } from './sync/times.ts';
