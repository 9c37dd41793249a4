/** Opens the store named by its first argument, fills its scratch space, reports it and waits. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createFilesystemStore } from '../../../src/platform/artifacts/index.ts';

const store = await createFilesystemStore(process.argv[2]!);
await store.withScratch(async (folder) => {
  await writeFile(path.join(folder, 'half'), 'x');
  process.send!(path.basename(folder));
  await new Promise((resolve) => setTimeout(resolve, 600_000));
});
