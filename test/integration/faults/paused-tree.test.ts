import { expect, test } from 'vitest';
import { eventually } from '../../eventually.ts';
import { useKilledTree } from './killed-tree.ts';

const tree = useKilledTree();

test('paused in a training, killed with everything and resumed, a rollout ends with the same bits', async () => {
  const first = await tree.start('paused');
  const training = async () => (await first.jobs()).find(({ state }) => state === 'fine_tuning');
  // Once it goes on in the same processes, unless the pause takes so long that the worker kills the stopped one, and
  // once it is the next start that resumes it.
  const { job: interrupted, thaw } = await tree.freezeTraining(training);
  expect(await first.change('pause')).toMatchObject({ state: 'paused' });
  thaw();
  await first.change('resume');
  await eventually('a job is trained again', training);
  await first.change('pause');
  await tree.killEverything();

  const { origin, rollout, jobs, change, completed } = await tree.restart();
  expect(await rollout()).toMatchObject({ state: 'paused', paused_reason: { code: 'requested' } });
  const states = (await jobs()).map(({ state }) => state);
  expect(states).toContain('paused');
  for (const state of states) expect(['paused', 'ready', 'not_ready']).toContain(state);
  await change('resume');
  await completed();
  const after = await jobs();
  for (const job of after.filter(({ ttr_ms: ttr }) => ttr !== null)) {
    const sum = Object.values(job.phases).reduce((a, b) => a + b, 0);
    expect(Math.abs(sum - job.ttr_ms!)).toBeLessThan(1);
  }
  expect(after.find(({ id }) => id === interrupted.id)!.phases.held).toBeGreaterThan(0);

  await tree.expectUndisturbed(origin, async (db, rolloutId) => {
    // An attempt ended by a pause does not count.
    const counted = await db.job.findMany({ where: { rolloutId, attempt: { gt: 1 } } });
    expect(counted.length).toBeGreaterThan(0);
    for (const job of counted) expect(job.attempt - job.excusedAttempts).toBe(1);
  });
});
