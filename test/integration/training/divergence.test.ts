import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyAdapterFiles } from '../../../core/formats/peft/adapter-manifest.ts';
import { tinyJob } from '../../unit/training/support/tiny-job.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

/** Options of all jobs here. The learning rate is so high that the loss becomes NaN within a few steps. */
const DIVERGING = { learning_rate: 1000, max_steps: 40 } as const;
const SAYS_WHERE = new RegExp(
  String.raw`^training diverged at step \d+: the loss (is NaN|rose from .+); ` +
    String.raw`the learning rate was \d+(\.\d+)?, try a lower one; `,
);
const INITIAL = 'the last good checkpoint is that of step 0, the initial adapter';
const DIVERGED = { published_version_id: null, error: { code: 'training_diverged' } };

let fleet: TinyFleet;

beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 1 });
  await fleet.startWorker();
});
afterAll(() => fleet.close());

test('a loss that diverges fails a job that has no candidate yet, with the reason in its row', async () => {
  const [job] = await fleet.roll({ ...DIVERGING, strategy: 'scratch', evaluate_every: 100 });
  // It is not tried again.
  expect(job).toMatchObject({ ...DIVERGED, state: 'failed', attempt: 1 });
  expect(job!.error!.message).toMatch(SAYS_WHERE);
  expect(job!.error!.message).toContain(INITIAL);
  expect(job!.error).not.toHaveProperty('candidate_digest');
});

test('a job that has a candidate keeps its best one, and names the checkpoint before the divergence', async () => {
  const [job] = await fleet.roll({ ...DIVERGING, strategy: 'warm-start', evaluate_every: 1 });
  expect(job).toMatchObject({ ...DIVERGED, state: 'not_ready', attempt: 1 });
  const { message, candidate_digest: digest } = job!.error as { message: string; candidate_digest?: string };
  expect(message).toMatch(SAYS_WHERE);
  const [, diverged, checkpoint] = /at step (\d+):.* the last good checkpoint is that of step (\d+); /.exec(message)!;
  expect(Number(checkpoint)).toBeLessThan(Number(diverged) - 1);
  expect(job!.metric.best).toBeLessThanOrEqual(job!.metric.copy!);
  await verifyAdapterFiles(await fleet.artifacts.localPath(digest!));
});

test('a refinement that diverges takes nothing from a job that was ready before', async () => {
  const { family, training } = fleet;
  const options = { ...DIVERGING, strategy: 'warm-start', refine_steps: 40, evaluate_every: 100 } as const;
  const spec = tinyJob(family, 'refining', { options, gate: { kind: 'absolute', target: 100 } });
  const { signal } = new AbortController();
  const slot = await training.acquire(signal);
  try {
    const outcome = await slot.adapt(spec, () => undefined, signal);
    const best = { strategy: 'reuse', verdict: 'passed' };
    expect(outcome).toMatchObject({ state: 'ready', best, candidateFolder: null });
    expect(outcome.problem!.message).toContain(INITIAL);
  } finally {
    slot.release();
  }
});
