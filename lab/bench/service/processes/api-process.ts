import { loadConfig } from '../../../../src/platform/config/config.ts';
import { startServer } from '../../../../src/api/server.ts';

/** Process with an API. It sends its URL and the operator's key, and ends on SIGTERM. */
const server = await startServer(loadConfig(process.env));
process.send?.({ url: server.url, key: server.operatorKey });
process.once('SIGTERM', () => {
  void server.stop().then(() => process.exit(0));
});
// End with the benchmark.
process.once('disconnect', () => process.exit(1));
