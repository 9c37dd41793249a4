import type { CertificateDocument, SliceDocument } from '../../core/method/gate/certificate-document.ts';
import type { MetricName } from '../../core/options/metrics.ts';
import { percent } from '../screen/output.ts';

/** Describes a certificate in a line: `certified at 95 %, margin 2 points, 250 of 412 rows, 2 looks`. */
export function certificateText(certificate: CertificateDocument, metric: MetricName): string {
  const { verdict, confidence, margin, rows, available_rows: available, looks, rows_needed: needed } = certificate;
  const edge = margin === null ? 'against the target' : `margin ${marginText(margin, metric)}`;
  const what = { passed: 'certified', failed: 'failed', inconclusive: 'inconclusive' }[verdict];
  const lacking = needed === null ? '' : `; about ${needed} rows would certify it`;
  const opened = `${looks} ${looks === 1 ? 'look' : 'looks'}`;
  const on = `${measuredOf(rows, available)} rows`;
  return `${what} at ${Number((confidence * 100).toFixed(4))} %, ${edge}, ${on}, ${opened}${lacking}`;
}

/** Formats the number of measured rows, followed by the number of available rows if that is larger: `250 of 412`. */
export function measuredOf(rows: number, available: number = rows): string {
  return available > rows ? `${rows} of ${available}` : String(rows);
}

/** Describes the gate's verdict on a critical slice: `40.0 % (old 60.0 %, margin 10 points, 30 rows): failed`. */
export function sliceText(slice: SliceDocument, metric: MetricName): string {
  const { verdict, certify, rows, value, old, margin, rows_needed: needed } = slice;
  const show = (shown: number): string => (metric === 'loss' ? shown.toFixed(4) : percent(shown));
  const what = {
    passed: 'certified',
    failed: 'failed',
    inconclusive: certify ? 'inconclusive' : 'good enough, not certified',
  };
  const lacking = needed === null ? '' : `; about ${needed} rows would certify it`;
  return (
    `${show(value)} (old ${show(old)}, margin ${marginText(margin, metric)}, ${rows} rows): ` +
    `${what[verdict]}${lacking}`
  );
}

/** Formats a margin: `2 points` for a metric from 0 to 1, nats for a loss. */
export function marginText(margin: number, metric: MetricName): string {
  if (metric === 'loss') return `${margin} nats`;
  const points = Number((margin * 100).toPrecision(6));
  return `${points} ${points === 1 ? 'point' : 'points'}`;
}
