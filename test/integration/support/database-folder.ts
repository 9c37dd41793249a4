import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/**
 * Copies the cluster of an embedded PostgreSQL that does not run, and its password. Owners stay: a server runs under
 * its own account.
 */
export async function copyDatabaseFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const parts = ['data', 'password'].map((name) => path.join(from, name));
  await promisify(execFile)('cp', ['-a', ...parts, to]);
}
