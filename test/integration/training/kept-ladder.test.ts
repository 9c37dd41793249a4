import { Value } from 'typebox/value';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { JobLadder } from '../../../src/fleet/jobs/ladder/ladder.schemas.ts';
import { createLadderService } from '../../../src/fleet/jobs/ladder/ladder.service.ts';
import { eventually } from '../../eventually.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

let fleet: TinyFleet;
beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 2 });
  await fleet.startWorker();
});
// Another rollout can start only after the report's baselines are measured too.
afterEach(() =>
  eventually(
    'the rollout is completed',
    async () => (await fleet.db.rollout.count({ where: { finishedAt: null } })) === 0,
  ),
);
afterAll(() => fleet.close());

const ladderOf = async (jobId: string): Promise<JobLadder> => {
  const ladder = await createLadderService({ db: fleet.db }).ladder(jobId);
  // The stored ladder matches the API's schema.
  expect(Value.Errors(JobLadder, JSON.parse(JSON.stringify(ladder)))).toEqual([]);
  return ladder;
};

/** Ladder without times, which differ between runs. */
const untimed = ({ data }: JobLadder) =>
  data.map(({ rungs, candidates, updated_at: _, ...run }) => ({
    ...run,
    rungs: rungs.map(({ ms, ...rung }) => ({ ...rung, tookTime: ms > 0 })),
    candidates: candidates.map(({ elapsed_ms: __, ...candidate }) => candidate),
  }));

test('every rung, every look and every point of the search of a job are kept', async () => {
  const jobs = await fleet.roll({ strategy: 'auto', max_steps: 8, evaluate_every: 4, search_evaluations: 4 });
  for (const job of jobs) {
    const { recorded, data } = await ladderOf(job.id);
    expect(recorded).toBe(true);
    expect(data).toMatchObject([
      { after_attempt: 0, strategy: 'auto', ended: true, current_rung: null, published_candidate: null },
    ]);
    const { rungs, candidates } = data[0]!;
    expect(rungs.map(({ rung }) => rung)).toEqual(['revert', 'search', 'copy', 'fine_tune', 'scratch']);
    // No adapter can reach the target, so each rung has failed, or says that there was nothing to try.
    for (const { result, reason, best_candidate: best } of rungs) {
      expect([result, typeof reason, typeof best]).toEqual(
        result === 'skipped' ? ['skipped', 'string', 'object'] : ['failed', 'object', 'string'],
      );
    }
    expect(candidates.at(-1)).toMatchObject({ id: 'fine_tune@8', step: 8, gate: { verdict: 'failed', rows: 32 } });
    const values = candidates.map(({ gate }) => gate.value ?? gate.best_case!);
    expect(Math.min(...values)).toBeCloseTo(job.metric.best!, 12);
    const { data: points } = await createLadderService({ db: fleet.db }).searchPoints(job.id, { limit: 200 });
    expect(points.map(({ index }) => index)).toEqual(points.map((_, i) => i));
    expect(points).toHaveLength(4);
    expect(points[0]).toMatchObject({ fusion_alpha: 1, fusion_beta: 0 });
  }
});

const LOST_LADDER =
  'a ladder whose writing was lost is whole when the job resumes, and the same as that of an undisturbed job';
test(LOST_LADDER, async () => {
  const rolloutId = await fleet.begin({ strategy: 'warm-start', max_steps: 80, evaluate_every: 4 });
  const running = await eventually('a job trains', async () =>
    (await fleet.jobs(rolloutId)).find(({ state, step }) => state === 'fine_tuning' && step >= 8),
  );
  await fleet.jobService.pause(running.id, null);
  // Imitates a worker that died before it stored its verdicts.
  const lost = await fleet.db.jobLadder.deleteMany({ where: { jobId: running.id } });
  expect(lost.count).toBe(1);
  await fleet.jobService.resume(running.id, null);
  const jobs = await fleet.ended(rolloutId);
  const [interrupted, whole] = [running.id, jobs.find(({ id }) => id !== running.id)!.id];
  expect(jobs.find(({ id }) => id === interrupted)!.attempt).toBe(2);
  const expected = untimed(await ladderOf(whole));
  expect(expected[0]!.candidates.map(({ id }) => id)).toEqual(['copy', 'fine_tune@80']);
  expect(untimed(await ladderOf(interrupted))).toEqual(expected);
});

test('a job that is retried with other options follows them, and its ladder says which strategy', async () => {
  const [job] = await fleet.roll({ strategy: 'reuse' });
  const options = { strategy: 'warm-start', max_steps: 4 } as const;
  expect(await fleet.jobService.retry(job!.id, null, { options })).toMatchObject({
    strategy: 'warm-start',
    own_options: options,
  });
  await eventually('it has ended', async () => (await fleet.jobService.get(job!.id, null)).finished_at !== null);
  const { data } = await ladderOf(job!.id);
  expect(data.map(({ strategy, candidates }) => [strategy, candidates.map(({ id }) => id)])).toEqual([
    ['reuse', ['copy']],
    ['warm-start', ['copy', 'fine_tune@4']],
  ]);
});

test('a retried job has a run of its own, and the last ten are kept', async () => {
  const rolloutId = await fleet.begin({ strategy: 'reuse' });
  const [job] = await fleet.ended(rolloutId);
  const first = untimed(await ladderOf(job!.id));
  for (let retry = 0; retry < 10; retry++) {
    await fleet.jobService.retry(job!.id, null);
    await fleet.ended(rolloutId);
  }
  const runs = untimed(await ladderOf(job!.id));
  expect(runs.map(({ after_attempt: after }) => after)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  for (const run of runs) expect({ ...run, after_attempt: 0 }).toEqual(first[0]);
});
