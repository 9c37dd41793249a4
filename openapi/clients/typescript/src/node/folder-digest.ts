import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';

/**
 * Computes the digest of an adapter's folder as the service does: SHA-256 of the line `readapt folder 1` and of one
 * line `["name",bytes,"sha256"]` for each file, sorted by the UTF-16 code units of the names. It does not depend on
 * times and modes.
 * @throws Error if the folder holds anything but plain files
 */
export async function folderDigest(folder: string): Promise<string> {
  const hash = createHash('sha256').update('readapt folder 1\n');
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!entry.isFile()) throw new Error(`${path.join(folder, entry.name)} is not a plain file`);
    const { bytes, sha256 } = await hashFile(path.join(folder, entry.name));
    hash.update(`${JSON.stringify([entry.name, bytes, sha256])}\n`);
  }
  return `sha256:${hash.digest('hex')}`;
}

async function hashFile(file: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
