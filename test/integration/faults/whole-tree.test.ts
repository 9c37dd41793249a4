import { expect, test } from 'vitest';
import { useKilledTree } from './killed-tree.ts';

const tree = useKilledTree();

test('kill −9 of API, worker, training process and PostgreSQL at once: the next start ends the rollout', async () => {
  const first = await tree.start('killed');
  await tree.freezeTraining(async () => (await first.jobs()).find(({ state }) => state === 'fine_tuning'));
  await tree.killEverything();

  const { origin, completed } = await tree.restart();
  await completed();
  await tree.expectUndisturbed(origin, async (db, rolloutId) => {
    expect(await db.job.count({ where: { rolloutId, attempt: { gt: 1 } } })).toBe(1);
  });
});
