/**
 * Brings a serving folder up to date each time its parent sends a number n, and stands still before the nth call of the
 * file system. It makes neither that call nor a later one, as if it had been killed there. The parent gets the number
 * of calls of a round that ended, or null. Arguments: URL of the database, folder of the store, serving folder.
 */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const [url, store, root] = process.argv.slice(2) as [string, string, string];
let count = 0;
let standsStillAt = Infinity;
let standStill = (): void => undefined;
const counted = ['mkdir', 'rename', 'rm', 'link', 'symlink', 'open', 'readlink', 'stat'] as const;
const calls = fs as unknown as Record<string, (...given: unknown[]) => unknown>;

const { createFilesystemStore } = await import('../../../src/platform/artifacts/index.ts');
const artifacts = await createFilesystemStore(store);
for (const name of counted) {
  const original = calls[name]!;
  calls[name] = (...given) => {
    if (String(given.at(-1)).includes(root) || String(given[0]).includes(root)) {
      if (++count >= standsStillAt) {
        standStill();
        return new Promise(() => undefined);
      }
    }
    return original(...given);
  };
}
syncBuiltinESMExports();

const { createDatabase } = await import('../../../src/platform/database/database.ts');
const { createServingFolder } = await import('../../../src/delivery/serving/index.ts');
const db = createDatabase(url, { poolSize: 2 });
const logger = { info: () => undefined, warn: (given: object) => process.send?.({ warning: given }) };

process.on('message', (n: number) => void round(n).then((ended) => process.send?.({ count: ended })));
process.send?.({ ready: true });

async function round(n: number): Promise<number | null> {
  [count, standsStillAt] = [0, n];
  const stands = new Promise<null>((resolve) => (standStill = () => resolve(null)));
  // A round that stands still renews its lease for as long as this process lives, so never in the time of a test.
  const folder = createServingFolder({ db, artifacts, logger, root, graceMs: 0, leaseMs: 86_400_000 });
  const ended = async (): Promise<number> => {
    await folder.round();
    await folder.stop();
    return count;
  };
  return Promise.race([stands, ended()]);
}
