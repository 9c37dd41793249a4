import { rm } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { compileCheckout } from './compile.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Folder with the compiled modules that processes of the tests run. */
    compiled: string;
  }
}

/** Compiles the checkout for the processes that all test files start. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await compileCheckout();
  project.provide('compiled', folder);
  return () => rm(folder, { recursive: true, force: true });
}
