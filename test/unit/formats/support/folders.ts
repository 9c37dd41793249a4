import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export const GOLDEN = new URL('../../../fixtures/golden/', import.meta.url).pathname;

/** A new temporary folder, removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'readapt-formats-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of a fixture's folder, which the test may damage. */
export async function copyOf(fixture: string): Promise<string> {
  const folder = join(await temporaryFolder(), 'copy');
  await cp(join(GOLDEN, fixture), folder, { recursive: true });
  return folder;
}

export async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
}

/** Overwrites fields of a JSON file; undefined removes one. */
export async function patchJson(path: string, fields: Record<string, unknown>): Promise<void> {
  await writeFile(path, JSON.stringify({ ...(await readJson(path)), ...fields }));
}
