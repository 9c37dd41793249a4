// Starts the embedded PostgreSQL in the given folder, reports it, and waits to be killed.
import { startEmbeddedPostgres } from '../../../src/platform/embedded/index.ts';

const { url, port, reused } = await startEmbeddedPostgres(process.argv[2] as string, {
  durable: process.argv[3] === 'durable',
});
process.stdout.write(`${JSON.stringify({ url, port, reused })}\n`);
setInterval(() => undefined, 1000);
