import type { Job } from '../../remote/client.ts';
import { duration, percent } from '../../screen/output.ts';
import { paintState, type Paint } from '../../screen/paint.ts';
import { printable } from '../../screen/text.ts';
import { measuredOf } from '../../reports/certificate-text.ts';

type Row = readonly [label: string, value: string];

/** Labelled lines that describe a job: its state, its results, and the time of each phase. */
export function jobRows(job: Job, paint: Paint): Row[] {
  const { id, adapter_name: name, kind, rollout_id: rollout, state, step, total_steps: steps } = job;
  return [
    ['job', kind === 'control' ? `${id}, a control` : id],
    ['adapter', `${name} (${job.adapter_id})`],
    ['rollout', rollout],
    ['state', [paintState(paint, state), whyHeld(job)].filter((part) => part !== null).join(': ')],
    ...(job.error === null
      ? []
      : [['reason', `${printable(job.error.detail ?? job.error.message)} (${job.error.code})`] as const]),
    ['strategy', strategyText(job)],
    ...(step > 0 ? [['steps', `${step} of ${steps} at most`] as const] : []),
    ...metricRows(job),
    ...certificateRows(job),
    ['time', phasesText(job)],
    ...(job.ttr_ms === null ? [] : [['TTR', duration(job.ttr_ms)] as const]),
    ...(job.published_version_id === null ? [] : [['published', job.published_version_id] as const]),
    ...job.warnings.map((warning): Row => ['warning', printable(warning)]),
  ];
}

/** Reason why a paused or held job waits; null in any other state. */
function whyHeld({
  id,
  state,
  approval,
  waits_for_job_id: older,
  wave,
  paused_by: by,
  rollout_id: rollout,
}: Job): string | null {
  if (state === 'paused') {
    return by === 'rollout'
      ? `with its rollout; \`readapt rollout resume ${rollout}\``
      : `by itself; \`readapt jobs resume ${id}\``;
  }
  if (state !== 'held') return null;
  if (approval === 'awaited') return `its tenant has to approve it; \`readapt jobs approve ${id}\``;
  return older === null ? `for wave ${wave ?? '–'}` : `for job ${older}`;
}

function strategyText({ strategy, won_strategy: won, fusion_alpha: alpha, fusion_beta: beta }: Job): string {
  const fused = alpha === null || beta === null ? '' : ` (α ${alpha.toFixed(2)}, β ${beta.toFixed(2)})`;
  return won === null ? `${strategy} is asked for` : `${won}${fused}`;
}

function metricRows({ metric }: Job): Row[] {
  const { name, ...values } = metric;
  const show = (value: number): string => (name === 'loss' ? value.toFixed(4) : percent(value));
  const parts = (['anchor', 'target', 'none', 'copy', 'best', 'published'] as const).flatMap((key) => {
    const value = values[key];
    return value === null ? [] : [`${key} ${show(value)}`];
  });
  return parts.length === 0 ? [] : [[name, parts.join(', ')]];
}

function certificateRows({ certificate }: Job): Row[] {
  if (certificate === null) return [];
  const { verdict, confidence, looks, rows_needed: needed } = certificate;
  const rows = measuredOf(certificate.rows, certificate.available_rows);
  const more = verdict === 'inconclusive' && needed !== null ? `, about ${needed} would decide` : '';
  return [
    [
      'certificate',
      `${verdict} at ${percent(confidence, 0)}, ${rows} gate rows${more}, ${looks} ${looks === 1 ? 'look' : 'looks'}`,
    ],
  ];
}

function phasesText({ phases, attempt }: Job): string {
  const parts = Object.entries(phases).flatMap(([phase, time]) =>
    time > 0 ? [`${phase.replaceAll('_', ' ')} ${duration(time)}`] : [],
  );
  const attempts = attempt > 1 ? `; attempt ${attempt}` : '';
  return `${parts.length === 0 ? 'not begun' : parts.join(', ')}${attempts}`;
}
