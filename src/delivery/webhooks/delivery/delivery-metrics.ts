import { Counter, Histogram, type Registry } from 'prom-client';

export interface DeliveryMetrics {
  attempt(outcome: string, latencyMs: number): void;
  disabled(reason: string): void;
}

/**
 * Outcomes of attempts to deliver an event, and reasons for disabling an endpoint. Their counters exist from the start
 * with the value 0, so that the first increase is visible.
 */
const OUTCOMES = ['delivered', 'refused', 'timeout', 'connection_failed', 'no_allowed_address'];
const REASONS = ['failing', 'gone'];

/** Registers the metrics of this process's deliveries to webhook endpoints. */
export function createDeliveryMetrics(registry: Registry): DeliveryMetrics {
  const attempts = new Histogram({
    name: 'readapt_webhook_attempt_duration_seconds',
    help: 'Time of an attempt to deliver an event to a webhook endpoint, by its outcome, in seconds.',
    labelNames: ['outcome'] as const,
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
    registers: [registry],
  });
  const disabled = new Counter({
    name: 'readapt_webhook_endpoints_disabled_total',
    help: 'Number of webhook endpoints that were disabled because they failed or were gone.',
    labelNames: ['reason'] as const,
    registers: [registry],
  });
  for (const outcome of OUTCOMES) attempts.zero({ outcome });
  for (const reason of REASONS) disabled.inc({ reason }, 0);
  return {
    attempt: (outcome, latencyMs) => attempts.observe({ outcome }, latencyMs / 1000),
    disabled: (reason) => disabled.inc({ reason }),
  };
}
