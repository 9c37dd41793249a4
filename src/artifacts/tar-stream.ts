import { Readable } from 'node:stream';
import { create } from 'tar';
import { listFiles } from './durable-files.ts';

/**
 * A folder's files as a tar archive, in the order of their names, without owners, times or modes of this machine: equal
 * folders give equal archives.
 */
export async function tarOf(folder: string, prefix: string): Promise<Readable> {
  const files = await listFiles(folder);
  const options = { cwd: folder, portable: true, mtime: new Date(0), prefix, strict: true, noDirRecurse: true };
  return Readable.from(create({ ...options, sync: false }, files));
}
