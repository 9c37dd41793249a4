/** Service in a process of its own, so that a test can check whether it answers under load, or kill it. */
import { loadConfig } from '../../../src/platform/config/config.ts';
import { startServer } from '../../../src/api/server.ts';

const server = await startServer(loadConfig(process.env));
process.send!({ url: server.url });
process.on('disconnect', () => process.exit(0));
