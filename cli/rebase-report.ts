import Table from 'cli-table3';
import type { LadderEvent } from '../core/method/ladder/adaptation.ts';
import type { AdaptOutcome, Candidate, Rung } from '../workers/training/protocol.ts';
import type { MetricName } from '../core/options/metrics.ts';
import { duration, percent } from './output.ts';

/** One line of what happens, or null for what is not told. */
export function describeEvent(event: LadderEvent): string | null {
  switch (event.type) {
    case 'candidate': {
      const { id, metric, passed, alpha, beta } = event.candidate;
      const where = alpha === null || beta === null ? '' : ` (α ${alpha.toFixed(2)}, β ${beta.toFixed(2)})`;
      return `${id}${where}: ${metric.name} ${metric.value.toFixed(4)} ± ${metric.standardError.toFixed(4)}${passed ? ', passes' : ''}`;
    }
    case 'search': {
      const { alpha, beta, loss } = event.evaluation;
      return `${event.rung === 'search' ? 'search' : 'comparison'}, look ${event.evaluations}: α ${alpha.toFixed(3)}, β ${beta.toFixed(3)} → loss ${loss.toFixed(4)}`;
    }
    case 'warning':
      return `warning: ${event.message}`;
    case 'skipped':
      return `${event.rung} skipped: ${event.reason}`;
    default:
      return null;
  }
}

export function rebaseDocument(
  { state, best, target, readyMs, phases, baselines, steps, data, ladder }: AdaptOutcome,
  name: MetricName,
) {
  return {
    strategy: best?.strategy ?? null,
    alpha: best?.alpha ?? null,
    beta: best?.beta ?? null,
    steps,
    ttr_ms: readyMs,
    phases,
    ready: state === 'ready',
    target,
    metric: { name, old: baselines.old_on_v1, copy: baselines.v2_copy, new: best?.value ?? null },
    data,
    ladder: ladder.map((rung) => rungDocument(rung, target)),
  };
}

export type RebaseDocument = ReturnType<typeof rebaseDocument>;

function rungDocument({ rung, result, reason, ms, candidate }: Rung, needed: number | null) {
  const gate = candidate && {
    value: candidate.value,
    standard_error: candidate.standardError,
    bound: candidate.bound,
    needed,
    negative_flips: candidate.negativeFlips,
    rows: candidate.examples,
    passed: candidate.passed,
    failed: candidate.failed,
  };
  const from = candidate && {
    strategy: candidate.strategy,
    alpha: candidate.alpha,
    beta: candidate.beta,
    step: candidate.step,
  };
  return { rung, result, reason, ms, candidate: from, gate };
}

export function rebaseRows(document: RebaseDocument, out: string): [string, string][] {
  const { strategy, alpha, beta, steps, ttr_ms, ready, target, metric, data } = document;
  const show = shower(metric.name);
  const coefficients = alpha === null || beta === null ? '' : ` (α ${alpha.toFixed(3)}, β ${beta.toFixed(3)})`;
  return [
    ['ready', ready ? `yes, after ${duration(ttr_ms ?? 0)}` : 'no'],
    ['strategy', `${strategy ?? '–'}${coefficients}${steps > 0 ? `, ${steps} steps` : ''}`],
    ...(data === 'validation_only' ? [['data', 'validation rows only: nothing was trained'] as [string, string]] : []),
    [`${metric.name.replace('_', ' ')}`, `${show(metric.new)} (target ${show(target)})`],
    ['  old adapter, old base', show(metric.old)],
    ['  plain copy, new base', show(metric.copy)],
    ['adapter', out],
  ];
}

/** The ladder as a table: what each rung's best candidate had, what its gate asked, and how long it took. */
export function ladderTable({ ladder, target }: Pick<AdaptOutcome, 'ladder' | 'target'>, metric: MetricName): string {
  const show = shower(metric);
  const head = ['rung', 'time', metric.replace('_', ' '), 'bound', 'needed', 'flips', 'gate'];
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
      ? [show(candidate.value), show(candidate.bound), percent(candidate.negativeFlips)]
      : ['·', '·', '·'];
    table.push([nameOf(rung), time, value, bound, candidate ? show(target) : '·', flips, verdictOf(rung)]);
  }
  return `${table.toString()}\n`;
}

function nameOf({ rung, candidate }: Rung): string {
  const name = rung.replace('_', ' ');
  if (!candidate) return name;
  return candidate.step > 0 ? `${name}, step ${candidate.step}` : `${name}${coefficientsOf(candidate)}`;
}

function coefficientsOf({ alpha, beta }: Candidate): string {
  return alpha === null || beta === null ? '' : ` (α ${alpha.toFixed(2)}, β ${beta.toFixed(2)})`;
}

function verdictOf({ result, reason, candidate }: Rung): string {
  if (result === 'passed') return 'passed';
  if (result === 'failed') return `failed: ${candidate!.failed.join(', ').replaceAll('_', ' ')}`;
  return `${result.replace('_', ' ')}: ${reason?.replaceAll('_', ' ')}`;
}

function shower(metric: MetricName): (value: number | null) => string {
  return (value) => (metric === 'loss' ? (value?.toFixed(4) ?? '–') : percent(value));
}
