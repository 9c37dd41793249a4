import { createDatabase } from '../../../src/platform/database/database.ts';
import { createRolloutLifecycle, type StoredOptions } from '../../../src/fleet/rollouts/index.ts';

/** Plans a rollout in pages of ten and kills itself after `survived` of them were committed and enqueued. */
const [, , databaseUrl = '', rolloutId = '', survived = '0'] = process.argv;
const lifecycle = createRolloutLifecycle({ db: createDatabase(databaseUrl), pageSize: 10 });
const { baseModelVersionId, options } = (await lifecycle.beginAnalysis(rolloutId))!;
let pages = 0;
await lifecycle.plan({ id: rolloutId, baseModelVersionId, options: options as StoredOptions }, new Map(), (entries) => {
  if (entries.length > 0) pages++;
  if (pages > Number(survived)) process.kill(process.pid, 'SIGKILL');
  return Promise.resolve();
});
