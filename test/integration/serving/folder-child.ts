/**
 * Brings a serving folder up to date once, and kills itself before its nth call of the file system. Arguments: URL of
 * the database, folder of the store, serving folder, n, grace time in milliseconds.
 */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const [url, store, root, killAt, graceMs] = process.argv.slice(2) as [string, string, string, string, string];
let count = 0;
const counted = ['mkdir', 'rename', 'rm', 'link', 'symlink', 'open', 'readlink', 'stat'] as const;
const calls = fs as unknown as Record<string, (...given: unknown[]) => unknown>;

const { createFilesystemStore } = await import('../../../src/platform/artifacts/index.ts');
const artifacts = await createFilesystemStore(store);
for (const name of counted) {
  const original = calls[name]!;
  calls[name] = (...given) => {
    if (String(given.at(-1)).includes(root) || String(given[0]).includes(root)) {
      if (++count === Number(killAt)) process.kill(process.pid, 'SIGKILL');
    }
    return original(...given);
  };
}
syncBuiltinESMExports();

const { createDatabase } = await import('../../../src/platform/database/database.ts');
const { createServingFolder } = await import('../../../src/delivery/serving/index.ts');
const db = createDatabase(url, { poolSize: 2 });
const logger = { info: () => undefined, warn: (given: object) => process.send?.({ warning: given }) };
const folder = createServingFolder({ db, artifacts, logger, root, graceMs: Number(graceMs) });
await folder.round();
await folder.stop();
process.send?.({ count });
await db.$disconnect();
process.disconnect();
