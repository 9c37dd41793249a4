import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Database } from '../../../src/platform/database/database.ts';

/** Everything that a refused upload could leave behind: rows, stored content and temporary files. */
export async function contents(db: Database, dataDir: string) {
  const root = path.join(dataDir, 'artifacts');
  const stored: string[] = [];
  for (const prefix of await readdir(path.join(root, 'sha256'))) {
    for (const name of await readdir(path.join(root, 'sha256', prefix))) stored.push(`${prefix}${name}`);
  }
  return {
    stored: stored.sort(),
    temporary: await readdir(path.join(root, 'tmp')),
    artifacts: await db.artifact.count(),
    datasets: await db.dataset.count(),
    adapters: await db.adapter.count(),
    versions: await db.adapterVersion.count(),
    events: await db.event.count(),
  };
}
