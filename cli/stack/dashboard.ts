import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { packagePath } from '../../core/installation/package-path.ts';
import { isDashboardBuilt } from '../../src/api/plugins/dashboard.ts';

/** Command that builds the dashboard in a checkout of the sources. The npm package contains the built dashboard. */
export const BUILD_COMMAND = 'npm run build:dashboard';

/** Builds the dashboard in a checkout that has none yet. Reports a failure and goes on without the dashboard. */
export async function buildDashboardOnce(say: (line: string) => void): Promise<void> {
  if (isDashboardBuilt() || !existsSync(packagePath('dashboard', 'vite.config.ts'))) return;
  say('building the dashboard, once …');
  const [command = '', ...args] = BUILD_COMMAND.split(' ');
  const child = spawn(command, args, { cwd: packagePath(), stdio: 'ignore', shell: process.platform === 'win32' });
  const outcome = once(child, 'exit').then(([code]) => code as number | null);
  const code = await outcome.catch(() => null);
  if (code !== 0 || !isDashboardBuilt()) say(`the dashboard could not be built: ${BUILD_COMMAND} says why`);
}
