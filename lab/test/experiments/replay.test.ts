import { beforeAll, describe, expect, it } from 'vitest';
import { countFlips } from '../../../core/statistics/paired-statistics.ts';
import { Random } from '../../../core/statistics/random.ts';
import { readJsonLines } from '../../experiments/json-lines.ts';
import type { ResultRecord } from '../../experiments/records.ts';
import { recordedJobs, type RecordedJob, type RecordedLook } from '../../experiments/replay/recorded-job.ts';
import { drawLook, replayJob } from '../../experiments/replay/replay-job.ts';
import { replayAll } from '../../experiments/replay/replay.ts';
import { toMarkdown } from '../../experiments/replay/report.ts';

const ROWS = 800;

let jobs: RecordedJob[];

beforeAll(async () => {
  jobs = recordedJobs(await readJsonLines<ResultRecord>('lab/experiments/results/registered-confirm.gz'), ROWS);
});

const replay = (job: RecordedJob) =>
  replayJob(job, { partOf: null, rowCost: {} }, { gateRows: ROWS, margin: 0.03, seed: 1 });

/** Recorded job whose only look took 80 s and had so many gains and losses. */
function jobWith({ gains, losses }: { readonly gains: number; readonly losses: number }): RecordedJob {
  const recorded = jobs.find(({ metric, looks }) => metric === 'accuracy' && looks.length > 0)!;
  const difference = (gains - losses) / ROWS;
  const look: RecordedLook = { endedAt: 100_000, ms: 80_000, measured: ROWS, difference, gains, scores: null };
  return { ...recorded, cell: { ...recorded.cell, elapsedMs: 120_000 }, old: 0.9, looks: [look] };
}

describe('the replay of recorded looks', () => {
  it('reads all looks of the registered run, which took most of the time in which jobs evaluated', () => {
    expect(jobs.filter(({ cell }) => cell.strategy === 'auto')).toHaveLength(60);
    for (const { cell, looks } of jobs) {
      expect(looks.map(({ measured }) => measured).every((measured) => measured > 0 && measured <= ROWS)).toBe(true);
      expect(looks.reduce((sum, { ms }) => sum + ms, 0)).toBeLessThanOrEqual(cell.phases!.evaluate + 1);
    }
  });

  it('draws rows that differ as the recorded candidate did', () => {
    for (const { metric, old, looks } of jobs) {
      for (const look of looks) {
        const [before, after] = drawLook({ metric, old, look, gateRows: ROWS }, Random.fromSeed(3));
        const difference = after.metric.value - before.metric.value;
        // A score is clipped to the range from 0 to 1.
        expect(Math.abs(difference - look.difference)).toBeLessThan(look.scores ? 0.02 : 0.5 / ROWS + 1e-9);
        const { gains, losses } = countFlips(before.outcomes.values, after.outcomes.values);
        if (look.gains !== null) expect(Math.abs(gains - losses - look.difference * ROWS)).toBeLessThanOrEqual(0.5);
      }
    }
  });

  it('ends a job at a candidate that is certified early, sooner by the rows that are left', () => {
    const { duration, rows, lookMs } = replay(jobWith({ gains: 8, losses: 0 }));
    expect(rows).toEqual([200]);
    expect(lookMs).toBeCloseTo(20_000, 6);
    expect(duration).toEqual({ ms: 40_000, happened: true });
  });

  it('lets a job that nothing certifies end as not ready', () => {
    const { duration, rows, lookMs } = replay(jobWith({ gains: 0, losses: 120 }));
    expect(rows[0]).toBeLessThan(ROWS);
    expect(duration).toEqual({ ms: 120_000 - 80_000 + lookMs, happened: false });
  });

  it('prices a row by its metric', () => {
    const options = { gateRows: ROWS, margin: 0.03, seed: 1 };
    const cheap = replayJob(
      jobWith({ gains: 8, losses: 0 }),
      { partOf: null, rowCost: { accuracy: 0.5, rouge_l: 0.1 } },
      options,
    );
    expect(cheap.lookMs).toBeCloseTo(10_000, 6);
  });

  it('reports the jobs as they are recorded before all changes', () => {
    const chosen = jobs.filter(({ cell }) => ['paper', 'scratch'].includes(cell.strategy));
    const options = { strategies: ['paper', 'scratch'], gateRows: ROWS, rounds: 1, rowCost: {} };
    const replayed = replayAll(chosen, options);
    const paper = chosen.filter(({ cell }) => cell.strategy === 'paper');
    expect(replayed[0]).toMatchObject({
      ...{ changes: 'as recorded', strategy: 'paper', jobs: paper.length },
      ready: paper.filter(({ cell }) => cell.state === 'ready').length,
      jobSeconds: expect.closeTo(paper.reduce((sum, { cell }) => sum + cell.elapsedMs, 0) / 1000 / paper.length, 0),
    });
    expect(replayed.map(({ strategy }) => strategy)).toEqual(Array(5).fill(['paper', 'scratch']).flat());
    expect(replayed[1]).toMatchObject({ sooner: null, strategy: 'scratch' });
    expect(replayed[2]!.rows).toBeLessThan(0.7 * replayed[0]!.rows);
    expect(toMarkdown(replayed).split('\n')).toHaveLength(2 + 10);
  });
});
