// Tests `readapt rollout watch` as a process against a real service.
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { recordEvent } from '../../../src/delivery/events/index.ts';
import { settleRollout } from '../../../src/fleet/rollouts/settlement.ts';
import { leftOpen, planFleet } from '../events/support.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { createTestApp, unknownEvent, type TestApp } from '../support/index.ts';
import { createTerminal } from './terminal.ts';

let app: TestApp;
let fleet: Fleet;
let folder: string;

beforeAll(async () => {
  app = await createTestApp();
  await app.app.listen({ port: 0, host: '127.0.0.1' });
  fleet = await createFleet(app.db, { tenants: 2, adapters: 4 });
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-watch-'));
});
afterAll(async () => {
  await fleet.remove();
  await rm(folder, { recursive: true, force: true });
  await app.close();
});

test('a rollout ends badly although its jobs are told later, because an older transaction runs', async () => {
  const { rolloutId, jobIds } = await planFleet(app.db, fleet);
  const event = unknownEvent({ tenantId: null, subjectId: 'older' });
  const commit = await leftOpen(app.db, (tx) => recordEvent(tx, event));
  const end = { finishedAt: new Date(), baselinesPending: false };
  await app.db.job.updateMany({ where: { rolloutId }, data: { ...end, state: 'ready' } });
  await app.db.job.update({ where: { id: jobIds[0]! }, data: { state: 'not_ready' } });
  await withTransaction(app.db, (tx) => settleRollout(tx, rolloutId));

  const port = (app.app.server.address() as AddressInfo).port;
  const env = { READAPT_URL: `http://127.0.0.1:${port}`, READAPT_API_KEY: app.operatorKey };
  const watched = await createTerminal(folder).run(['rollout', 'watch', rolloutId, '--json'], { env });
  await commit();
  expect(watched).toMatchObject({ code: 5, stderr: expect.stringContaining('1 of 4 adapters are not ready') });
  const lines = watched.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { rollout?: object; job?: { id: string; state: string } });
  expect(lines[0]).toMatchObject({ rollout: { state: 'completed', jobs: { ready: 3, not_ready: 1 } } });
  const states = lines.slice(1).map(({ job }) => [job!.id, job!.state]);
  expect(Object.fromEntries(states)).toEqual(
    Object.fromEntries(jobIds.map((id, place) => [id, place === 0 ? 'not_ready' : 'ready'])),
  );
});
