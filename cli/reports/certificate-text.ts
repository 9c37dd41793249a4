import type { CertificateDocument } from '../../core/method/gate/certificate-document.ts';
import type { MetricName } from '../../core/options/metrics.ts';

/** What a certificate says, in a line: `certified at 95 %, margin 2 points, 412 rows, 2 looks`. */
export function certificateText(certificate: CertificateDocument, metric: MetricName): string {
  const { verdict, confidence, margin, rows, looks, rows_needed: needed } = certificate;
  const edge = margin === null ? 'against the target' : `margin ${marginText(margin, metric)}`;
  const what = { passed: 'certified', failed: 'failed', inconclusive: 'inconclusive' }[verdict];
  const lacking = needed === null ? '' : `; about ${needed} rows would certify it`;
  const opened = `${looks} ${looks === 1 ? 'look' : 'looks'}`;
  return `${what} at ${Number((confidence * 100).toFixed(4))} %, ${edge}, ${rows} rows, ${opened}${lacking}`;
}

/** `2 points` of a metric from 0 to 1; nats a token of a loss. */
export function marginText(margin: number, metric: MetricName): string {
  if (metric === 'loss') return `${margin} nats`;
  const points = Number((margin * 100).toPrecision(6));
  return `${points} ${points === 1 ? 'point' : 'points'}`;
}
