/** Process with the API's reconciler of replicas alone. Arguments: URL of the database, and folder of the store. */
import { Registry } from 'prom-client';
import { createFilesystemStore } from '../../../../src/platform/artifacts/index.ts';
import { createDatabase } from '../../../../src/platform/database/database.ts';
import { createLogger } from '../../../../src/lib/logger.ts';
import { createAddressPolicy } from '../../../../src/platform/outgoing/address-policy.ts';
import { createReconciler, createSyncMetrics, SYNC_TIMES } from '../../../../src/delivery/replicas/index.ts';

const [, , databaseUrl = '', store = ''] = process.argv;
const db = createDatabase(databaseUrl, { poolSize: 10 });
const reconciler = createReconciler({
  db,
  artifacts: await createFilesystemStore(store),
  logger: createLogger({ level: 'warn', pretty: false }),
  metrics: createSyncMetrics(new Registry()),
  policy: createAddressPolicy(['127.0.0.1/32']),
  box: null,
  times: SYNC_TIMES,
});
reconciler.start();
process.send?.({ started: true });
process.once('SIGTERM', () => {
  void reconciler.stop().then(() => process.exit(0));
});
// End with the benchmark.
process.once('disconnect', () => process.exit(1));
