export const METRICS = ['accuracy', 'exact_match', 'rouge_l', 'token_f1', 'loss'] as const;
/** Name of a metric. `loss` is in nats a token, and lower is better; the others are in [0, 1], and higher is better. */
export type MetricName = (typeof METRICS)[number];

/** Help text about every metric, for schemas and commands. */
export const METRIC_HELP =
  '`accuracy` is the share of rows whose completion is the most probable among the choices of the task; ' +
  '`exact_match` the share of rows whose generated text is the completion, apart from white space around it; ' +
  '`rouge_l` (ROUGE-L, F-measure) and `token_f1` (F1 of words, as in SQuAD) are means over rows of how much of the ' +
  'generated text and of the completion agree. These are fractions, higher is better. `loss` is in nats per ' +
  'completion token, lower is better.';

/** Whether a metric calls each row either right or wrong, so that rows can flip between two versions. */
export function judgesRows(metric: MetricName): boolean {
  return metric === 'accuracy' || metric === 'exact_match';
}

/** Whether a metric compares text that the model generates with the completions of the rows. */
export function isGenerated(metric: MetricName): metric is 'exact_match' | 'rouge_l' | 'token_f1' {
  return metric === 'exact_match' || metric === 'rouge_l' || metric === 'token_f1';
}

/** Returns a metric's name as shown to people: `ROUGE-L`, `token F1`, `exact match`. */
export function metricTitle(metric: MetricName): string {
  return { accuracy: 'accuracy', exact_match: 'exact match', rouge_l: 'ROUGE-L', token_f1: 'token F1', loss: 'loss' }[
    metric
  ];
}
