import type { Rollout } from '../remote/client.ts';
import { duration } from '../screen/output.ts';
import { paintState, type Paint } from '../screen/paint.ts';
import { printable, relativeTime } from '../screen/text.ts';

type RolloutFetch = NonNullable<Rollout['fetches']>[number];

type Row = readonly [label: string, value: string];

/** Labelled lines that describe a rollout: its state, the action that it waits for, and its results. */
export function rolloutRows(rollout: Rollout, paint: Paint): Row[] {
  const { id, base_model_name: model, version, state, evolutions, left_out: leftOut } = rollout;
  return [
    ['rollout', id],
    ['base model', `${model}, version ${version} (${rollout.base_model_version_id})`],
    ...(rollout.fetches ?? []).map((fetch): Row => ['fetched', fetchText(fetch)]),
    ['state', [paintState(paint, state), whyWaiting(rollout)].filter((part) => part !== null).join(': ')],
    ...(rollout.waves === null ? [] : [['waves', wavesText(rollout)] as const]),
    ['adapters', countsText(rollout.jobs, paint)],
    ...(rollout.summary.controls === 0 ? [] : [['controls', countsText(rollout.controls, paint)] as const]),
    ...timeRows(rollout),
    ...evolutions.map((evolution): Row => ['drift', driftText(evolution)]),
    ...(leftOut === null || Object.keys(leftOut).length === 0
      ? []
      : [['left out', countsText(leftOut, paint)] as const]),
    ...(rollout.superseded_by === null ? [] : [['superseded', `by ${rollout.superseded_by}`] as const]),
    ...rollbackRow(rollout),
  ];
}

/**
 * Reason why a rollout does not go on by itself, with the command, if there is one, that makes it go on; null if the
 * rollout goes on.
 */
export function whyWaiting({ id, state, error, paused_reason: reason, waves }: Rollout): string | null {
  if (error !== null) return printable(error.detail ?? error.message);
  if (state === 'paused') {
    return `${printable(reason?.message ?? 'no reason is given')}; go on with \`readapt rollout resume ${id}\``;
  }
  if (waves?.awaiting_approval !== true) return null;
  return `wave ${waves.released + 1} waits for a person; release it with \`readapt rollout approve ${id}\``;
}

/** Progress of the bases that are fetched for the analysis, a line each; empty when all have been fetched. */
export function fetchingTexts({ state, fetches }: Rollout): string[] {
  if (state !== 'analyzing') return [];
  return (fetches ?? []).filter(({ file }) => file !== null).map(fetchText);
}

function fetchText({ version, file, bytes_done: done, bytes_total: total }: RolloutFetch): string {
  const share = total === 0 ? 100 : Math.floor((100 * done) / total);
  const what = file === null ? '' : `, now ${printable(file)}`;
  return `version ${version}: ${share} % of ${(total / 2 ** 30).toFixed(2)} GiB${what}`;
}

function wavesText({ waves }: Rollout): string {
  return waves === null ? '–' : `${waves.released} of ${waves.total} released`;
}

/** Counts by name, such as `4 ready, 2 queued`. */
export function countsText(counts: Readonly<Record<string, number>>, paint: Paint): string {
  const parts = Object.entries(counts).map(
    ([name, count]) => `${count} ${paintState(paint, name, name.replaceAll('_', ' '))}`,
  );
  return parts.length === 0 ? '–' : parts.join(', ');
}

function timeRows({ accepted_at: accepted, summary, deadline_missed_at: missed }: Rollout): Row[] {
  const { median_ttr_ms: ttr, makespan_ms: makespan, median_speedup: speedup } = summary;
  return [
    ['accepted', `${accepted}, ${relativeTime(accepted)}`],
    ...(ttr === null ? [] : [['median TTR', duration(ttr)] as const]),
    ...(makespan === null ? [] : [['makespan', duration(makespan)] as const]),
    ...(speedup === null ? [] : [['speed-up', `${speedup.toFixed(1)}× over training from scratch (median)`] as const]),
    ...(missed === null ? [] : [['deadline', `missed, ${relativeTime(missed)}`] as const]),
  ];
}

function rollbackRow({ rolled_back_at: rolledBack }: Rollout): Row[] {
  return rolledBack === null ? [] : [['rolled back', `${rolledBack}, ${relativeTime(rolledBack)}`]];
}

function driftText({ old_base_model_version_id: from, drift, advice }: Rollout['evolutions'][number]): string {
  const likely = advice === null ? '' : `, likely to work: ${advice.verdict}`;
  return `${drift === null ? 'not computed yet' : drift.toFixed(3)} from ${from}${likely}`;
}
