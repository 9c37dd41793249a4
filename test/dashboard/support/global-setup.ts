import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { packagePath } from '../../../core/installation/package-path.ts';
import { startDemoService, type DemoService } from './demo-service.ts';

declare module 'vitest' {
  interface ProvidedContext {
    demo: DemoService;
  }
}

/**
 * Builds the dashboard and starts one service with the demo fleet for all suites. If READAPT_DASHBOARD_STACK names a
 * file written by `keep-service-process.ts`, its service is used, and the dashboard is rebuilt beneath it.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await promisify(execFile)('npm', ['run', 'build:dashboard'], { cwd: packagePath() });
  const kept = process.env.READAPT_DASHBOARD_STACK;
  if (kept !== undefined) {
    project.provide('demo', JSON.parse(await readFile(kept, 'utf8')) as DemoService);
    return async () => undefined;
  }
  const dataDir = await mkdtemp(path.join(tmpdir(), 'readapt-dashboard-'));
  const { demo, stop } = await startDemoService(dataDir);
  project.provide('demo', demo);
  return async () => {
    await stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}
