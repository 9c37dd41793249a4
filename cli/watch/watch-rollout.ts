import { createProgressView, inPlannedOrder, type ProgressView } from './progress-view.ts';
import { EXIT, UnsuccessfulResult } from '../process/errors.ts';
import { duration } from '../screen/output.ts';
import { isEndOfJob, isEndOfRollout, items, listJobs, type Job, type Rollout } from '../remote/client.ts';
import type { Service, ServiceOptions } from '../remote/service.ts';
import { countsText, fetchingTexts, whyWaiting } from '../reports/rollout-text.ts';
import { painterOf, paintState } from '../screen/paint.ts';
import { pollRollout } from './follow-jobs.ts';
import { untilInterrupted } from './until-interrupted.ts';

export interface WatchOptions extends ServiceOptions {
  /** Whether watching also ends when the rollout waits for a person. */
  readonly untilWaiting?: boolean;
}

/**
 * Shows a rollout until it has ended or, with `untilWaiting`, until it waits for a person. Redraws a block on a
 * terminal, prints lines elsewhere, and with `--json` an NDJSON line for each change.
 * @throws UnsuccessfulResult if an adapter is not ready, the rollout is not completed, or it waits
 */
export async function watchRollout({ client }: Service, rolloutId: string, options: WatchOptions): Promise<void> {
  const goesOn = `rollout ${rolloutId} goes on; \`readapt rollout watch ${rolloutId}\` shows it again`;
  const rollout = await untilInterrupted(goesOn, async (signal) => {
    const show = options.json ? jsonLines() : viewOf(createProgressView(process.stdout));
    const seen = new Map<string, Job>();
    try {
      for await (const view of pollRollout({ client, rolloutId, signal })) {
        const changed = [...view.changed];
        for (const job of changed) seen.set(job.id, job);
        const isLast = isOver(view.rollout, options);
        if (isLast && !isUpToDate(view.rollout, seen)) {
          const query = { rollout_id: rolloutId, limit: 200 };
          for await (const job of items(listJobs, { client, query, signal })) {
            if (seen.get(job.id)?.state !== job.state) changed.push(job);
            seen.set(job.id, job);
          }
        }
        show.update(view.rollout, changed, seen);
        if (isLast) return view.rollout;
      }
      throw new Error('a rollout is followed until somebody stops');
    } finally {
      show.close();
    }
  });
  judge(rollout);
}

function isOver(rollout: Rollout, { untilWaiting = false }: WatchOptions): boolean {
  if (untilWaiting && waits(rollout)) return true;
  return isEndOfRollout(rollout.state) && jobCounts(rollout).every(({ state }) => isEndOfJob(state));
}

interface JobCount {
  readonly kind: Job['kind'];
  readonly state: Job['state'];
  readonly count: number;
}

function jobCounts({ jobs, controls }: Rollout): JobCount[] {
  const of = (kind: Job['kind'], counts: Rollout['jobs']): JobCount[] =>
    Object.entries(counts).map(([state, count]) => ({ kind, state: state as Job['state'], count }));
  return [...of('adaptation', jobs), ...of('control', controls)];
}

/**
 * Whether the jobs that were read match the counts in the rollout. The jobs may lag behind, because the service lists a
 * change of a job only after all older transactions of its database have ended.
 */
function isUpToDate(rollout: Rollout, jobs: ReadonlyMap<string, Job>): boolean {
  const all = [...jobs.values()];
  return jobCounts(rollout).every(
    ({ kind, state, count }) => all.filter((job) => job.kind === kind && job.state === state).length === count,
  );
}

function waits({ state, waves }: Rollout): boolean {
  return state === 'paused' || waves?.awaiting_approval === true;
}

/** Turns the end of a rollout into an exit code. @throws UnsuccessfulResult unless all adapters are ready */
function judge(rollout: Rollout): void {
  const { id, state, error } = rollout;
  if (!isEndOfRollout(state))
    throw new UnsuccessfulResult(`rollout ${id} is ${state}: ${whyWaiting(rollout)}`, EXIT.waits);
  if (state !== 'completed') {
    throw new UnsuccessfulResult(
      `rollout ${id} is ${state}${error === null ? '' : `: ${error.message}`}`,
      EXIT.endedBadly,
    );
  }
  const { ready = 0, ...others } = rollout.jobs;
  const unready = Object.values(others).reduce((sum, count) => sum + count, 0);
  if (unready > 0) {
    throw new UnsuccessfulResult(
      `${unready} of ${ready + unready} adapters are not ready: \`readapt jobs ls --rollout ${id}\` lists them`,
      EXIT.endedBadly,
    );
  }
}

interface Show {
  update(rollout: Rollout, changed: readonly Job[], all: ReadonlyMap<string, Job>): void;
  close(): void;
}

/** Prints an NDJSON line for each change, for programs that follow the rollout. */
function jsonLines(): Show {
  let last = '';
  return {
    update(rollout, changed) {
      const line = JSON.stringify({ rollout });
      if (line !== last) process.stdout.write(`${line}\n`);
      last = line;
      for (const job of changed) process.stdout.write(`${JSON.stringify({ job })}\n`);
    },
    close: () => undefined,
  };
}

function viewOf(view: ProgressView): Show {
  return {
    update(rollout, _changed, all) {
      view.update(inPlannedOrder(all.values()), Date.now() - Date.parse(rollout.accepted_at), heading(rollout));
    },
    close: () => view.close(),
  };
}

/** Lines above the jobs. They contain no running time, because a line is printed again whenever it changes. */
function heading(rollout: Rollout): string[] {
  const { id, base_model_name: model, version, state, waves, jobs, summary } = rollout;
  const paint = painterOf(process.stdout);
  const wave = waves === null || waves.total < 2 ? '' : ` · wave ${waves.released} of ${waves.total}`;
  const waiting = whyWaiting(rollout);
  const end =
    summary.makespan_ms !== null && isEndOfRollout(rollout.state) ? ` · makespan ${duration(summary.makespan_ms)}` : '';
  return [
    `${id} · ${model} ${version} · ${paintState(paint, state)}${wave} · ${countsText(jobs, paint)}${end}`,
    ...fetchingTexts(rollout).map((text) => `  fetching ${text}`),
    ...(waiting === null ? [] : [`  ${waiting}`]),
  ];
}
