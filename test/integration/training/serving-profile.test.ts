import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

let fleet: TinyFleet;
beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 1 });
  await fleet.startWorker();
});
afterAll(() => fleet.close());

const setProfile = (servingProfile: object) => fleet.db.baseModel.updateMany({ data: { servingProfile } });

const REFUSED_BY_ENGINES =
  'the job of an adapter that engines would refuse ends before anything runs, and says what they serve';
test(REFUSED_BY_ENGINES, async () => {
  await setProfile({ max_rank: 1 });
  const [job] = await fleet.roll({ strategy: 'revert', policy: { provisional: 'revert' } });
  expect(job).toMatchObject({ state: 'failed', published_version_id: null });
  expect(job!.error).toMatchObject({
    code: 'adapter_not_servable',
    message: expect.stringMatching(/^module .* has rank \d+, and the engines serve at most rank 1 \(`max_rank` in the/),
  });
  expect(await fleet.db.adapterVersion.count({ where: { provisional: true } })).toBe(0);
});
