import { expect, test } from 'vitest';
import { useKilledTree } from './killed-tree.ts';

// The tests use one stack, the second one as the first has left it.
const tree = useKilledTree();

test('kill −9 of API, worker, training process and PostgreSQL at once: the next start ends the rollout', async () => {
  const { id: rolloutId, jobs, completed } = await tree.startRollout('killed');
  await tree.freezeTraining(async () => (await jobs()).find(({ state }) => state === 'fine_tuning'));
  await tree.killEverything();

  await tree.restart();
  await completed();
  await tree.expectUndisturbed(rolloutId, async (db) => {
    expect(await db.job.count({ where: { rolloutId, attempt: { gt: 1 } } })).toBe(1);
  });
});

test('paused in a training, killed with everything and resumed, a rollout ends with the same bits', async () => {
  // The training that is paused goes on for seconds, so that it can be stopped in each of its attempts.
  const { id: rolloutId, rollout, jobs, change, completed } = await tree.startRollout('paused', 400);
  const training = async () => (await jobs()).find(({ state }) => state === 'fine_tuning');
  // Once it goes on in the same processes, unless the pause takes so long that the worker kills the stopped one, and
  // once, killed before it has given its job back, it is the next start that resumes it.
  const { job: interrupted, thaw } = await tree.freezeTraining(training);
  expect(await change('pause')).toMatchObject({ state: 'paused' });
  thaw();
  await change('resume');
  await tree.freezeTraining(training);
  await change('pause');
  await tree.killEverything();

  await tree.restart();
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

  await tree.expectUndisturbed(rolloutId, async (db) => {
    // An attempt ended by a pause does not count.
    const counted = await db.job.findMany({ where: { rolloutId, attempt: { gt: 1 } } });
    expect(counted.length).toBeGreaterThan(0);
    for (const job of counted) expect(job.attempt - job.excusedAttempts).toBe(1);
  });
});
