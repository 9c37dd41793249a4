import { access, constants, rm } from 'node:fs/promises';
import path from 'node:path';
import { loadConfig, type Config } from '../../src/platform/config/config.ts';
import type { DeviceChoice } from '../../core/options/devices.ts';
import { writeFileAtomic } from '../../core/formats/atomic-file.ts';
import { createApiKey, createBaseModelVersion, createClient } from '../../openapi/clients/typescript/src/index.ts';
import { interruptible } from '../process/interruption.ts';
import { UsageError } from '../process/errors.ts';
import { createTemporaryFolder } from '../process/folders.ts';
import { buildDashboardOnce } from '../stack/dashboard.ts';
import { startLocalStack, type LocalStack } from '../stack/local-stack.ts';
import { FAMILY, familyPath, FLEET } from './fleet.ts';
import { followDemoRollout, type FollowedRollout } from './follow-rollout.ts';
import { untilMeasured } from './measured-fleet.ts';
import { displayName } from '../watch/progress-view.ts';
import { registerFleet, type RegisteredFleet } from './register-fleet.ts';
import { createReport, endedWithoutErrors, renderReport, renderSummary } from './report.ts';
import { rollBack, rollOutInWaves } from './roll-out-in-waves.ts';

export interface DemoOptions {
  /**
   * Choice of the adapters that are also trained from scratch, for comparison. Default: all adapters, or none if
   * `waves` is set.
   */
  readonly control?: 'sample' | 'all' | 'none';
  /** Device to compute on. Default: READAPT_DEVICE. */
  readonly device?: DeviceChoice;
  /** File to which the report is written as JSON. */
  readonly json?: string;
  /** Whether the service keeps running and its data folder stays in place after the demo. */
  readonly keep: boolean;
  /**
   * Whether to show how a rollout is steered: a dry run, a canary, an automatic pause, a resumption, and a rollback.
   */
  readonly waves: boolean;
  readonly seed: number;
}

/**
 * Runs a whole rollout on an embedded stack, through the public API only.
 * @returns the exit code: 0 if every job ended as ready or not_ready and, with `waves`, the rollout was paused and
 * rolled back; otherwise 1
 * @throws InterruptedError after Ctrl-C, once everything is stopped and removed
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  if (options.json !== undefined) await requireWritableFile(options.json);
  const dataDir = await createTemporaryFolder('readapt-demo-');
  const config = loadConfig({
    ...process.env,
    READAPT_DATA_DIR: dataDir,
    READAPT_PORT: '0',
    READAPT_ALLOWED_ROOTS: FAMILY,
    ...(options.device === undefined ? {} : { READAPT_DEVICE: options.device }),
    READAPT_LOG_LEVEL: process.env.READAPT_LOG_LEVEL ?? 'warn',
    DATABASE_URL: '',
    REDIS_URL: '',
  });
  say(`data folder ${dataDir}`);
  if (options.keep && config.dashboard) await buildDashboardOnce(say);
  say('starting PostgreSQL, API, worker and training process …');
  try {
    return await interruptible((signal) => withStack(config, signal, options));
  } finally {
    if (options.keep) say(`the data folder ${dataDir} is kept`);
    else await rm(dataDir, { recursive: true, force: true });
  }
}

async function withStack(config: Config, signal: AbortSignal, options: DemoOptions): Promise<number> {
  const stack = await startLocalStack(config, { worker: true, temporary: !options.keep });
  try {
    const dashboard = options.keep ? await linkToDashboard(stack) : null;
    if (dashboard !== null) say(`dashboard, with a key that only reads: ${dashboard}`);
    const lost = stack.lost.then((error) => Promise.reject(error));
    const exitCode = await Promise.race([demonstrate(stack, options, signal), lost]);
    if (options.keep) await keepRunning(stack, { dataDir: config.dataDir, dashboard }, signal);
    return exitCode;
  } finally {
    await stack.stop();
  }
}

/** Creates a read-only key, and returns the dashboard's address with it; null if there is no dashboard. */
async function linkToDashboard({ dashboardUrl, operatorKey }: LocalStack): Promise<string | null> {
  if (dashboardUrl === null || operatorKey === null) return null;
  const client = createClient({ baseUrl: dashboardUrl, apiKey: operatorKey });
  const { key } = await createApiKey({ client, body: { name: 'dashboard', scopes: ['operator:read'] } });
  return `${dashboardUrl}/#key=${key}`;
}

/** Checks before the work that the file of `--json` can be written, so that the report is not lost at the end. */
async function requireWritableFile(file: string): Promise<void> {
  const folder = path.dirname(path.resolve(file));
  await access(folder, constants.W_OK | constants.X_OK).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--json ${file} cannot be written: ${folder} is not a writable folder (${error.code})`);
  });
}

async function demonstrate(stack: LocalStack, options: DemoOptions, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted();
  if (stack.operatorKey === null)
    throw new Error('the data folder is not new: its operator key was shown at an earlier start');
  say(`API at ${stack.url} (documentation at ${stack.url}/docs)`);
  const fleet = await registerFleet({
    origin: stack.url,
    operatorKey: stack.operatorKey,
    fleet: FLEET,
    log: say,
    signal,
  });
  say('the worker measures the imported adapters while nothing else is to be done …');
  if (!(await untilMeasured(fleet, signal))) say('it has not measured all of them: their jobs will');
  const story = { control: options.control ?? 'none', seed: options.seed, signal, say } as const;
  const inWaves = options.waves ? await rollOutInWaves(fleet, story) : null;
  const { rollout, jobs } = inWaves ?? (await rollOut(fleet, options, signal));
  if (rollout.error !== null)
    say(`rollout ${rollout.state}: ${rollout.error.detail ?? rollout.error.message ?? JSON.stringify(rollout.error)}`);
  for (const job of jobs) {
    const { error } = job;
    if (error !== null) say(`${displayName(job)}: ${error.code}: ${error.detail ?? error.message}`);
  }

  const report = createReport(rollout, jobs, fleet.adapters);
  process.stdout.write(`\n${renderReport(report)}\n${renderSummary(report)}\n`);
  const wasSteered = inWaves === null || ((await rollBack(fleet, inWaves, say)) && inWaves.wasPaused);
  process.stdout.write(`artifacts: ${stack.artifacts}${options.keep ? '' : ' (removed now; --keep leaves them)'}\n`);
  if (options.json !== undefined)
    await writeFileAtomic(path.resolve(options.json), `${JSON.stringify(report, null, 2)}\n`);
  return endedWithoutErrors(report, jobs) && wasSteered ? 0 : 1;
}

/** Registers version 2 of the base model, and follows the rollout to it. */
async function rollOut(fleet: RegisteredFleet, options: DemoOptions, signal: AbortSignal): Promise<FollowedRollout> {
  const started = Date.now();
  const accepted = await createBaseModelVersion({
    client: fleet.operator,
    path: { model: fleet.baseModelId },
    body: {
      version: '2',
      path: familyPath('v2'),
      rollout: { control: options.control ?? 'all', seed: options.seed },
    },
  });
  say(`version 2 accepted in ${Date.now() - started} ms: rollout ${accepted.rollout!.id}\n`);
  return followDemoRollout(fleet, accepted.rollout!.id, { signal, started });
}

async function keepRunning(
  stack: LocalStack,
  { dataDir, dashboard }: { readonly dataDir: string; readonly dashboard: string | null },
  signal: AbortSignal,
): Promise<void> {
  say(`\nstill running: ${stack.url}, operator key ${stack.operatorKey}, data in ${dataDir}`);
  if (dashboard !== null) say(`dashboard: ${dashboard}`);
  say('press Ctrl-C to stop');
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
