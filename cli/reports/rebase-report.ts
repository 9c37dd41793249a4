import type { JobEvent } from '../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../core/adaptation/job-outcome.ts';
import { certificateDocument, type CertificateDocument } from '../../core/method/gate/certificate-document.ts';
import type { CandidateRecord } from '../../core/method/ladder/candidate.ts';
import type { MetricValue } from '../../core/method/gate/readiness-gate.ts';
import { gateDocument, madeDocument } from '../../core/method/ladder/ladder-document.ts';
import type { RungReport } from '../../core/method/ladder/ladder-state.ts';
import { metricTitle, type MetricName } from '../../core/options/metrics.ts';
import { duration, percent } from '../screen/output.ts';
import { certificateText, measuredOf, sliceText } from './certificate-text.ts';

/** Describes an event in one line; returns null for events that are not shown. */
export function describeJobEvent(event: JobEvent): string | null {
  switch (event.type) {
    case 'candidate': {
      const { id, metric, verdict } = event.candidate;
      const value = `${metric.name} ${metric.value.toFixed(4)} ± ${metric.standardError.toFixed(4)}`;
      return `${id}${coefficientsOf(event.candidate)}: ${value} on ${rowsText(metric)}, ${verdict}`;
    }
    case 'watched': {
      const { id, metric } = event.watched;
      return `${id}: ${metric.name} ${metric.value.toFixed(4)} on ${metric.rows} search rows`;
    }
    case 'search': {
      const { alpha, beta, rows, loss } = event.evaluation;
      const what = event.rung === 'search' ? 'search' : 'comparison';
      return (
        `${what} ${event.evaluations}: α ${alpha.toFixed(3)}, β ${beta.toFixed(3)} → loss ${loss.toFixed(4)} on ` +
        `${rows} rows`
      );
    }
    case 'old_known':
      return (
        `old adapter: its outcomes on the ${event.rows} gate rows are known, ` + 'so it is not measured on the old base'
      );
    case 'warning':
      return `warning: ${event.message}`;
    case 'row_format': {
      const { appendEos, appendEosReason, maxLength } = event.format;
      return `append_eos ${appendEos ? 'yes' : 'no'}: ${appendEosReason}; rows have up to ${maxLength} tokens`;
    }
    case 'skipped':
      return `${event.rung} skipped: ${event.reason}`;
    default:
      return null;
  }
}

/** Returns the document that `--json` prints. */
export function rebaseDocument(outcome: JobOutcome, name: MetricName) {
  const {
    state,
    best,
    target,
    readyMs,
    phases,
    baselines,
    oldKnown,
    steps,
    rows,
    rowFormat,
    slices,
    flips,
    warnings,
    ladder,
  } = outcome;
  const ready = state === 'ready';
  const value = best?.metric.value ?? null;
  const judgedIn = best?.judgedIn ?? null;
  return {
    ready,
    strategy: best?.strategy ?? null,
    fusion_alpha: best?.alpha ?? null,
    fusion_beta: best?.beta ?? null,
    steps,
    ttr_ms: readyMs,
    phases,
    metric: {
      name,
      target,
      ...baselines,
      old_known: oldKnown,
      published: ready ? value : null,
      best: value,
      judged_in: judgedIn,
    },
    certificate: certificateDocument(best?.certificate ?? null),
    slices: sliceDocument(slices),
    negative_flips: flips,
    rows,
    row_format: rowFormat && {
      append_eos: rowFormat.appendEos,
      append_eos_reason: rowFormat.appendEosReason,
      max_length: rowFormat.maxLength,
    },
    warnings,
    ladder: ladder.map((rung) => rungDocument(rung, target)),
  };
}

/**
 * Values of the metric on each slice, for the old adapter and for the best candidate. `old` is null if the old adapter
 * was not measured, because the target does not depend on it.
 */
function sliceDocument({ old, best }: JobOutcome['slices']) {
  return Object.entries(best).map(([name, { rows, value }]) => ({ name, rows, old: old[name]?.value ?? null, value }));
}

export type RebaseDocument = ReturnType<typeof rebaseDocument>;

function rungDocument({ rung, result, reason, ms, candidate }: RungReport, target: number | null) {
  const gate = candidate && { ...gateDocument(candidate), target, passed: candidate.verdict === 'passed' };
  return { rung, result, reason, ms, candidate: candidate && madeDocument(candidate), gate };
}

export function rebaseRows(document: RebaseDocument, out: string): [string, string][] {
  const { strategy, fusion_alpha: alpha, fusion_beta: beta, steps, ttr_ms, ready, metric, rows, slices } = document;
  const show = formatterOf(metric.name);
  const coefficients = alpha === null || beta === null ? '' : ` (α ${alpha.toFixed(3)}, β ${beta.toFixed(3)})`;
  return [
    ['ready', ready ? `yes, after ${duration(ttr_ms ?? 0)}` : 'no'],
    ['strategy', `${strategy ?? '–'}${coefficients}${steps > 0 ? `, ${steps} steps` : ''}`],
    ...(rows === 'validation_only' ? [['rows', 'no training rows, so nothing was trained'] as [string, string]] : []),
    [
      metric.name.replace('_', ' '),
      `${show(metric.best)} (target ${show(metric.target)}${judgedIn(metric.judged_in)})`,
    ],
    ...(document.certificate === null ? [] : [certificateRow(document.certificate, metric.name)]),
    ['  old adapter, old base', show(metric.old)],
    ['  no adapter, new base', show(metric.none)],
    ['  old adapter, new base', show(metric.copy)],
    ...slices.map(({ name, rows, old, value }): [string, string] => {
      return [`  slice ${name}`, `${show(value)} (old ${show(old)}, ${rows} rows)`];
    }),
    ...criticalRows(document.certificate, metric.name),
    ['adapter', out],
  ];
}

/** Labelled lines for the critical slices, each with its number of rows and the gate's verdict on it. */
function criticalRows(certificate: CertificateDocument | null, metric: MetricName): [string, string][] {
  return (certificate?.slices ?? []).map((slice) => [`  critical ${slice.name}`, sliceText(slice, metric)]);
}

function certificateRow(certificate: CertificateDocument, metric: MetricName): [string, string] {
  return ['certificate', certificateText(certificate, metric)];
}

function judgedIn(precision: string | null): string {
  return precision === null || precision === 'f32' ? '' : `; judged in ${precision}`;
}

/**
 * Formats the ladder as a table: for each rung its best candidate, what the gate required of the candidate, and how
 * long the rung took.
 */
export async function ladderTable(
  { ladder, target }: Pick<JobOutcome, 'ladder' | 'target'>,
  metric: MetricName,
): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const show = formatterOf(metric);
  const head = ['rung', 'time', metricTitle(metric), 'bound', 'target', 'flips', 'gate'];
  const table = new Table({
    head,
    style: { head: [], border: [], compact: true },
    colWidths: [26, 12, 10, 9, 9, 9, 40],
    wordWrap: true,
  });
  for (const rung of ladder) {
    const { candidate, ms } = rung;
    const time = ms > 0 ? duration(ms) : '·';
    const [value, bound, flips] = candidate
      ? [show(candidate.metric.value), show(candidate.bound), percent(candidate.negativeFlips)]
      : ['·', '·', '·'];
    table.push([nameOf(rung), time, value, bound, candidate ? show(target) : '·', flips, verdictOf(rung)]);
  }
  return `${table.toString()}\n`;
}

function nameOf({ rung, candidate }: RungReport): string {
  const name = rung.replace('_', ' ');
  if (!candidate) return name;
  return candidate.step > 0 ? `${name}, step ${candidate.step}` : `${name}${coefficientsOf(candidate)}`;
}

function coefficientsOf({ alpha, beta }: CandidateRecord): string {
  return alpha === null || beta === null ? '' : ` (α ${alpha.toFixed(2)}, β ${beta.toFixed(2)})`;
}

/**
 * Largest number of lost rows to list on a terminal; `--json` lists more. The old version answers a lost row correctly,
 * and the new version does not.
 */
const SHOWN_FLIPS = 20;

/**
 * Lists the rows that the old version answers correctly and the best candidate does not, with their slices. Empty if
 * there are none.
 */
export function flipsText({ flips, best }: Pick<JobOutcome, 'flips' | 'best'>): string {
  if (flips.length === 0) return '';
  const total = Math.round((best?.negativeFlips ?? 0) * (best?.metric.rows ?? 0));
  const shown = flips.slice(0, SHOWN_FLIPS).map(({ row, slices }) => {
    return slices.length > 0 ? `${row} (${slices.join(', ')})` : `${row}`;
  });
  const more = total > shown.length ? `, and ${total - shown.length} more` : '';
  return `rows that were right and are wrong now, by line: ${shown.join(', ')}${more}\n`;
}

function verdictOf({ result, reason, candidate }: RungReport): string {
  if (result === 'passed') return 'passed';
  if (result === 'inconclusive') return inconclusiveText(candidate);
  if (result === 'failed') return failedText(candidate);
  return `${result.replace('_', ' ')}: ${reason?.replaceAll('_', ' ')}`;
}

function failedText(candidate: CandidateRecord | null): string {
  const why = `failed: ${candidate?.failed.join(', ').replaceAll('_', ' ')}`;
  return candidate?.metric.available === undefined ? why : `${why}; hopeless after ${rowsText(candidate.metric)}`;
}

function rowsText({ rows, available }: MetricValue): string {
  return `${measuredOf(rows, available)} gate rows`;
}

function inconclusiveText(candidate: CandidateRecord | null): string {
  const needed = candidate?.certificate?.rowsNeeded ?? null;
  return needed === null ? 'inconclusive' : `inconclusive: about ${needed} rows needed`;
}

function formatterOf(metric: MetricName): (value: number | null) => string {
  return (value) => (metric === 'loss' ? (value?.toFixed(4) ?? '–') : percent(value));
}
