export const METRICS = ['accuracy', 'exact_match', 'loss'] as const;
/** `accuracy` and `exact_match` are fractions in [0, 1], higher is better; `loss` is nats a token, lower is better. */
export type MetricName = (typeof METRICS)[number];
