import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { describeStore } from '../unit/artifacts/store-contract.ts';
import { openTestStore } from './support/open-test-store.ts';
import { startS3Server, type S3Server } from './support/versitygw.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.remove());

describeStore(async (folder) => {
  const { store, client, prefix } = await openTestStore(server, { prefix: randomUUID(), dataDir: folder });
  return {
    store,
    entries: async () => {
      const keys = await client.keys(prefix);
      const stored = keys.filter((key) => key.startsWith('sha256/') && !key.endsWith('.put')).length;
      const puts = new Set(
        keys.filter((key) => key.startsWith('folders/')).map((key) => key.split('/').slice(0, 4).join('/')),
      );
      const folders = await client.folders(prefix);
      const temporaries = await readdir(path.join(folder, 'artifact-cache', 'tmp'));
      return { stored, temporary: puts.size - folders + temporaries.length };
    },
    damage: (digest, file, text) => client.damage({ prefix, digest, file, text }),
  };
});
