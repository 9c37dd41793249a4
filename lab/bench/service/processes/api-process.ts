import { loadConfig } from '../../../../src/config/config.ts';
import { startServer } from '../../../../src/server.ts';

/** The API as a process. It sends its address and the operator's key, and ends when it is told to. */
const server = await startServer(loadConfig(process.env));
process.send?.({ url: server.url, key: server.operatorKey });
process.once('SIGTERM', () => {
  void server.stop().then(() => process.exit(0));
});
// It does not outlive the bench.
process.once('disconnect', () => process.exit(1));
