import Table from 'cli-table3';
import { PHASES } from '../../core/options/phases.ts';
import type { Job, Rollout } from '../../openapi/clients/typescript/src/index.ts';
import { duration } from '../screen/output.ts';
import type { DemoAdapter } from './fleet.ts';

/** Fields of a job that the report uses. */
export type ReportedJob = Pick<
  Job,
  | 'adapter_id'
  | 'kind'
  | 'state'
  | 'won_strategy'
  | 'fusion_alpha'
  | 'fusion_beta'
  | 'ttr_ms'
  | 'phases'
  | 'metric'
  | 'certificate'
>;

/** Fields of the rollout that the report uses. */
export type ReportedRollout = Pick<Rollout, 'id' | 'state'> & {
  readonly summary: Pick<Rollout['summary'], 'makespan_ms'>;
};

interface AdapterReport {
  readonly adapter: string;
  readonly tenant: string;
  readonly task: string;
  readonly state: string;
  readonly strategy: string | null;
  readonly fusion_alpha: number | null;
  readonly fusion_beta: number | null;
  readonly ttr_ms: number | null;
  readonly phases: Readonly<Record<string, number>>;
  readonly metric: Job['metric'];
  readonly certificate: Job['certificate'];
  /**
   * Results of the control, the job that trains the adapter from scratch. Controls run after the fleet, so as not to
   * delay it. Their time is counted as if each had taken its adapter's place in the queue: the adapter's wait plus the
   * control's own work.
   */
  readonly control: { readonly ttr_ms: number; readonly ready: boolean; readonly metric: number | null } | null;
  /**
   * Time of the control divided by that of the adapter's job, both without the wait in the queue. It is a lower bound
   * if the control is not ready.
   */
  readonly speed_up: number | null;
}

export interface DemoReport {
  readonly rollout: {
    readonly id: string;
    readonly state: string;
    readonly makespan_ms: number | null;
    readonly adapters: readonly AdapterReport[];
  };
}

export function createReport(
  rollout: ReportedRollout,
  jobs: readonly ReportedJob[],
  fleet: ReadonlyMap<string, DemoAdapter>,
): DemoReport {
  const adapters = [...fleet.entries()].flatMap(([adapterId, entry]) => {
    const job = jobs.find((candidate) => candidate.adapter_id === adapterId && candidate.kind === 'adaptation');
    const control = jobs.find((candidate) => candidate.adapter_id === adapterId && candidate.kind === 'control');
    return job === undefined ? [] : [reportOf(job, control ?? null, entry)];
  });
  return { rollout: { id: rollout.id, state: rollout.state, makespan_ms: rollout.summary.makespan_ms, adapters } };
}

function reportOf(job: ReportedJob, control: ReportedJob | null, entry: DemoAdapter): AdapterReport {
  const queueWait = job.phases.queue_wait ?? 0;
  const controlWork = control === null ? null : workOf(control);
  return {
    adapter: entry.adapter,
    tenant: entry.tenant,
    task: entry.task,
    state: job.state,
    strategy: job.won_strategy,
    fusion_alpha: job.fusion_alpha,
    fusion_beta: job.fusion_beta,
    ttr_ms: job.ttr_ms,
    phases: Object.fromEntries(PHASES.map((phase) => [phase, job.phases[phase] ?? 0])),
    metric: job.metric,
    certificate: job.certificate,
    control:
      control === null || controlWork === null
        ? null
        : { ttr_ms: queueWait + controlWork, ready: control.state === 'ready', metric: control.metric.best },
    speed_up: controlWork === null || job.ttr_ms === null ? null : controlWork / workOf(job),
  };
}

/** Milliseconds of a job's own work: all phases except the wait in the queue. */
function workOf(job: ReportedJob): number {
  return PHASES.filter((phase) => phase !== 'queue_wait').reduce((sum, phase) => sum + (job.phases[phase] ?? 0), 0);
}

const COLUMNS = [
  'adapter',
  'anchor',
  'none',
  'copy',
  'published',
  'scratch',
  'state',
  'verdict',
  'rows',
  'critical slice',
  'strategy',
  'α, β',
  'TTR',
  'scratch TTR',
  'speed-up',
];
/** Columns of the table that contain text. All others contain figures and are aligned to the right. */
const TEXT_COLUMNS = new Set(['adapter', 'state', 'verdict', 'critical slice', 'strategy']);
const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Renders the table at the end of the demo. */
export function renderReport(report: DemoReport): string {
  const table = new Table({
    head: COLUMNS,
    colAligns: COLUMNS.map((column) => (TEXT_COLUMNS.has(column) ? 'left' : 'right')),
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
  });
  for (const row of report.rollout.adapters) table.push(cells(row));
  return `${table.toString()}\n${LEGEND}`;
}

const LEGEND = `
Percent of the gate rows answered correctly on version 1 by the adapter that the tenant has imported (anchor), and on
version 2 by no adapter (none), the old adapter unchanged (copy), the published adapter (published) and the control
(scratch), which is trained from scratch. Verdict: certified is at most 5 points worse than the anchor, with 95 %
confidence over all looks at so many gate rows (rows); inconclusive is so on these rows, which are too few to certify \
it.
Critical slice: rows in which the published adapter may be worse by no more than a margin of their own, its verdict
there, and by how many points it is better or worse than the anchor. α, β: the fusion coefficients. TTR (time to
readiness): from the POST to the publication, with the wait in the queue. Speed-up: the control's time over the
adapter's, both without that wait.`.trimStart();

function cells(row: AdapterReport): string[] {
  const bound = row.control !== null && !row.control.ready ? '> ' : '';
  const seconds = (value: number | null): string => (value === null ? '–' : `${(value / 1000).toFixed(1)} s`);
  const points = (value: number | null): string => (value === null ? '–' : (value * 100).toFixed(1));
  return [
    `${row.tenant}/${row.adapter}`,
    points(row.metric.anchor),
    points(row.metric.none),
    points(row.metric.copy),
    points(row.metric.published),
    row.control === null ? '' : points(row.control.metric),
    row.state,
    verdictOf(row),
    row.certificate === null ? '' : String(row.certificate.rows),
    slicesOf(row),
    row.strategy ?? '–',
    row.fusion_alpha === null || row.fusion_beta === null
      ? '–'
      : `${row.fusion_alpha.toFixed(2)}, ${row.fusion_beta.toFixed(2)}`,
    seconds(row.ttr_ms),
    row.control === null ? '' : bound + seconds(row.control.ttr_ms),
    row.speed_up === null ? '' : `${bound}${row.speed_up.toFixed(1)}×`,
  ];
}

function verdictOf({ certificate }: AdapterReport): string {
  if (certificate === null) return '–';
  return certificate.verdict === 'passed' ? 'certified' : certificate.verdict;
}

function slicesOf({ certificate }: AdapterReport): string {
  const slices = certificate?.slices ?? [];
  return slices
    .map(({ name, verdict, value, old }) => {
      const difference = (value - old) * 100;
      return `${name} ${verdict} ${difference < 0 ? '' : '+'}${difference.toFixed(1)}`;
    })
    .join(', ');
}

/** Renders a line with the median TTR, the makespan and the counts. */
export function renderSummary(report: DemoReport): string {
  const rows = report.rollout.adapters;
  const speedUps = rows.flatMap((row) => (row.speed_up === null ? [] : [row.speed_up]));
  const ready = rows.filter((row) => row.state === 'ready').length;
  const lines = [
    `median TTR ${formatMs(median(rows.flatMap((row) => (row.ttr_ms === null ? [] : [row.ttr_ms]))))}`,
    `makespan ${formatMs(report.rollout.makespan_ms)}`,
    `${ready} ready, ${rows.length - ready} not ready`,
  ];
  if (speedUps.length > 0) {
    lines.push(
      `median speed-up over scratch ${median(speedUps)!.toFixed(1)}× (work of ${speedUps.length} controls; queue ` +
        'wait apart)',
    );
  }
  return lines.join(' · ');
}

const formatMs = (value: number | null): string => (value === null ? '–' : duration(value));

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Whether every job has ended, and none by an error or a cancellation. */
export function endedWithoutErrors(report: DemoReport, jobs: readonly ReportedJob[]): boolean {
  const states = new Set(['ready', 'not_ready']);
  return report.rollout.state === 'completed' && jobs.length > 0 && jobs.every((job) => states.has(job.state));
}
