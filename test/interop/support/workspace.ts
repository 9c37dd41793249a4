import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { Reference } from './reference.ts';

/** Resources of a test file: the reference, and a folder that is removed afterwards. */
export interface Workspace {
  readonly reference: Reference;
  /** Returns the path of a file or folder in the workspace, without creating it. */
  path(...segments: string[]): string;
}

/** Starts the reference before the file's tests and stops it after them. */
export function useWorkspace(): Workspace {
  let reference: Reference | undefined;
  let folder: string | undefined;
  beforeAll(async () => {
    reference = await Reference.start();
    folder = await mkdtemp(path.join(tmpdir(), 'readapt-interop-'));
  });
  afterAll(async () => {
    await reference?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });
  return {
    get reference() {
      return reference!;
    },
    path: (...segments) => path.join(folder!, ...segments),
  };
}
