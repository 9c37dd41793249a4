export { countStoreFaults, createProcessRegistry, registerPoolMetrics } from './process-metrics.ts';
export { registerServiceMetrics } from './service-metrics.ts';
