export { createDeliverer } from './delivery/deliverer.ts';
export { createDeliveryMetrics } from './delivery/delivery-metrics.ts';
export { RETRY_SCHEDULE, type RetrySchedule } from './delivery/schedule.ts';
