import { Readable } from 'node:stream';
import { create } from 'tar';
import { listFiles } from './durable-files.ts';

/**
 * Packs a folder's files into a tar archive. Files are sorted by name, and the archive holds no owners, times or modes
 * of this machine, so equal folders give equal archives.
 */
export async function tarOf(folder: string, prefix: string): Promise<Readable> {
  const files = await listFiles(folder);
  const options = { cwd: folder, portable: true, mtime: new Date(0), prefix, strict: true, noDirRecurse: true };
  return Readable.from(create({ ...options, sync: false }, files));
}
