import { rm } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { compileCheckout } from './compile.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Folder with the compiled modules that processes of the tests run. */
    compiled: string;
  }
}

/** Compiles the checkout for the processes that test files start, once for all projects of a run. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const run = project.vitest.getRootProject();
  if ('compiled' in run.getProvidedContext()) return undefined;
  const folder = await compileCheckout();
  run.provide('compiled', folder);
  return () => rm(folder, { recursive: true, force: true });
}
