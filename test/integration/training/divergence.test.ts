import { access } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { verifyAdapterFiles } from '../../../core/formats/peft/adapter-manifest.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { GivenJobOptions } from '../../../core/options/job-options.ts';
import type { FinalMessage } from '../../../workers/training/protocol.ts';
import { Child } from '../../unit/training/support/child.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../../unit/training/support/tiny-task.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';
import { outcomeOf, tinyJob } from '../../unit/training/support/tiny-job.ts';

/** Learning rate so high that the loss becomes NaN within a few steps. */
const RATE = 1000;
const SAYS_WHERE = new RegExp(
  String.raw`^training diverged at step \d+: the loss (is NaN|rose from .+); ` +
    String.raw`the learning rate was \d+(\.\d+)?, try a lower one; `,
);
const INITIAL = 'the last good checkpoint is that of step 0, the initial adapter';

describe('a loss that diverges, in the training process', () => {
  let family: TinyFamily;
  let child: Child;

  beforeAll(async () => {
    family = await createTinyFamily();
    child = new Child();
  });
  afterAll(async () => {
    await child.kill();
    await removeTinyFamily(family);
  });

  function run(name: string, options: GivenJobOptions, changes: Partial<JobSpec> = {}): Promise<FinalMessage> {
    const all = { learning_rate: RATE, max_steps: 40, evaluate_every: 100, ...options };
    return child.request({ type: 'adapt', requestId: name, spec: tinyJob(family, name, { ...changes, options: all }) });
  }

  it('fails a job that has no candidate yet', async () => {
    const message = await run('scratch', { strategy: 'scratch' });
    expect(message).toMatchObject({ type: 'error', code: 'training_diverged', permanent: true });
    expect(message).toHaveProperty('message', expect.stringMatching(SAYS_WHERE));
    expect(message).toHaveProperty('message', expect.stringContaining(INITIAL));
  });

  it('keeps the best candidate of a job that has one, and names the checkpoint before the divergence', async () => {
    const outcome = outcomeOf(await run('judged', { strategy: 'warm-start', evaluate_every: 1 }));
    expect(outcome).toMatchObject({ state: 'not_ready', problem: { code: 'training_diverged' } });
    expect(outcome.problem!.message).toMatch(SAYS_WHERE);
    const [, diverged, checkpoint] = /at step (\d+):.*checkpoint is that of step (\d+)$/.exec(
      outcome.problem!.message,
    )!;
    expect(Number(checkpoint)).toBeLessThan(Number(diverged) - 1);
    expect(outcome.best!.metric.value).toBeLessThanOrEqual(outcome.baselines.copy!);
    await verifyAdapterFiles(outcome.candidateFolder!);
  });

  it('takes nothing from a job that was ready before', async () => {
    const gate = { kind: 'absolute' as const, target: 100 };
    const outcome = outcomeOf(await run('refining', { strategy: 'warm-start', refine_steps: 40 }, { gate }));
    expect(outcome).toMatchObject({
      state: 'ready',
      best: { strategy: 'reuse', verdict: 'passed' },
      candidateFolder: null,
    });
    expect(outcome.problem!.message).toContain(INITIAL);
  });
});

describe('a loss that diverges, in a worker', () => {
  let fleet: TinyFleet;

  beforeAll(async () => {
    fleet = await createTinyFleet({ adapters: 1 });
    await fleet.startWorker();
  });
  afterAll(() => fleet.close());

  test.each([
    { strategy: 'warm-start', state: 'not_ready', kept: true },
    { strategy: 'scratch', state: 'failed', kept: false },
  ] as const)('a $strategy job ends as $state, with the reason in its row', async ({ strategy, state, kept }) => {
    const [job] = await fleet.roll({
      strategy,
      learning_rate: RATE,
      max_steps: 40,
      evaluate_every: strategy === 'scratch' ? 100 : 1,
    });
    expect(job).toMatchObject({ state, attempt: 1, published_version_id: null, error: { code: 'training_diverged' } });
    expect(job!.error!.message).toMatch(SAYS_WHERE);
    expect(job!.error!.message).toContain('the last good checkpoint is that of step ');
    const { candidate_digest: digest } = job!.error as { candidate_digest?: string };
    expect(digest !== undefined).toBe(kept);
    if (digest !== undefined) await access(await fleet.artifacts.localPath(digest));
  });
});
