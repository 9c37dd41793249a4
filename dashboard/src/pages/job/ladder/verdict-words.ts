import { count, counted, percent } from '../../../lib/format.ts';
import type { Candidate, Certificate } from '../job-record.ts';
import { asked, metricName, metricValue } from '../../../lib/metric-words.ts';

type Gate = Candidate['gate'];

/** Sentences about the gate's measurement of a candidate and its verdict. */
export function verdictInWords(gate: Gate, metric: string): readonly string[] {
  return [found(gate, metric), ...decided(gate, metric), ...slicesInWords(gate.certificate)];
}

function found(gate: Gate, metric: string): string {
  const { value, best_case: bestCase, rows, measured_rows: measured, needed, ended = null } = gate;
  const name = metricName(metric);
  if (value === null) {
    const after = `after ${count(measured)} of ${counted(rows, 'gate row')}`;
    const best = `no better ${name} than ${metricValue(bestCase)} was still possible`;
    return `The look ended early: ${after}, ${best}, and the gate asks for ${asked(metric, needed)}.`;
  }
  const on = measured < rows ? `${count(measured)} of ${counted(rows, 'gate row')}` : counted(rows, 'gate row');
  const end = ended === null ? '' : ` ${ENDS[ended]}`;
  return `Has ${name} ${metricValue(value)} on ${on}, and the gate asks for ${asked(metric, needed)}.${end}`;
}

const ENDS = {
  certified: 'The look ended there, because these rows had shown enough.',
  futile: 'The look ended there, because the rows to come would hardly have certified it.',
} as const;

function decided(gate: Gate, metric: string): readonly string[] {
  const { verdict, certificate, failed, negative_flips: flips } = gate;
  if (failed.includes('negative_flips')) {
    return [`${percent(flips)} of the rows have flipped from right to wrong, more than the gate allows.`];
  }
  if (verdict === 'failed') return [];
  if (certificate === null) return ['The value on the gate rows decides; nothing is certified of other rows.'];
  return [verdict === 'passed' ? certified(gate, certificate, metric) : notCertified(gate, certificate, metric)];
}

function certified({ bound }: Gate, { confidence, margin, rows, looks }: Certificate, metric: string): string {
  const side = metric === 'loss' ? 'above' : 'below';
  const within = margin === null ? '' : `, so that it is worse than the old version by ${metricValue(margin)} at most`;
  const rulesOut = bound === null ? '' : `: they rule out a true value ${side} ${metricValue(bound)}${within}`;
  const basis = `${counted(rows, 'row')}, ${counted(looks, 'look')}`;
  return `Certified at ${percent(confidence)} confidence on ${basis}${rulesOut}.`;
}

function notCertified({ bound }: Gate, certificate: Certificate, metric: string): string {
  const { confidence, rows, looks, rows_needed: needed } = certificate;
  const far = metric === 'loss' ? 'high' : 'low';
  const possible = bound === null ? '' : `: they leave a true value as ${far} as ${metricValue(bound)} possible`;
  const more = needed === null ? '' : ` About ${count(needed)} rows would certify it.`;
  const basis = `${counted(rows, 'row')}, ${counted(looks, 'look')}`;
  return `Not certified at ${percent(confidence)} confidence on ${basis}${possible}.${more}`;
}

function slicesInWords(certificate: Certificate | null): readonly string[] {
  return (certificate?.slices ?? []).map(({ name, verdict, rows, value, old, margin, certify }) => {
    const before = `${metricValue(old)} before, may lose ${metricValue(margin)}`;
    const compared = `${metricValue(value)} on ${counted(rows, 'row')}, ${before}`;
    const asks = certify ? ' and has to be certified' : '';
    return `Slice ${name} ${SLICE_VERDICTS[verdict]}: ${compared}${asks}.`;
  });
}

const SLICE_VERDICTS = { passed: 'is certified', failed: 'has failed', inconclusive: 'is not certified' } as const;
