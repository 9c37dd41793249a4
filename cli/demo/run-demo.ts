import { access, constants, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig, type Config } from '../../src/config/config.ts';
import { TERMINAL_ROLLOUT_STATES } from '../../src/modules/rollouts/index.ts';
import type { DeviceChoice } from '../../core/options/devices.ts';
import { writeFileAtomic } from '../../core/formats/atomic-file.ts';
import { interruptible } from '../interruption.ts';
import { UsageError } from '../errors.ts';
import { createTemporaryFolder } from '../folders.ts';
import { startLocalStack, type LocalStack } from '../stack/local-stack.ts';
import type { Job, Rollout } from './api-client.ts';
import { FAMILY, familyPath, FLEET } from './fleet.ts';
import { untilMeasured } from './measured-fleet.ts';
import { createProgressView, displayName, isTerminal } from './progress-view.ts';
import { registerFleet, type RegisteredFleet } from './register-fleet.ts';
import { createReport, endedHonestly, renderReport, renderSummary } from './report.ts';

const POLL_MS = 400;

export interface DemoOptions {
  /** The adapters that are also trained from scratch. */
  readonly control: 'sample' | 'all' | 'none';
  /** The device to compute on. Default: READAPT_DEVICE. */
  readonly device?: DeviceChoice;
  /** File to which the report is written as JSON. */
  readonly json?: string;
  /** Keeps the stack running and the data folder in place. */
  readonly keep: boolean;
  readonly seed: number;
}

/**
 * Runs a whole rollout on an embedded stack, through the public API only.
 * @returns the exit code: 0 if every job ended as ready or not_ready, else 1
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
    const lost = stack.lost.then((error) => Promise.reject(error));
    const exitCode = await Promise.race([demonstrate(stack, options, signal), lost]);
    if (options.keep) await keepRunning(stack, config.dataDir, signal);
    return exitCode;
  } finally {
    await stack.stop();
  }
}

/** Checks this before the work, so that the report is not lost after it. */
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
  const fleet = await registerFleet({ origin: stack.url, operatorKey: stack.operatorKey, fleet: FLEET, log: say });
  say('the worker measures the imported adapters while nothing else is to be done …');
  if (!(await untilMeasured(fleet, signal))) say('it has not measured all of them: their jobs will');
  const { rollout, jobs } = await rollOut(fleet, options, signal);
  if (rollout.error !== null)
    say(`rollout ${rollout.state}: ${rollout.error.detail ?? rollout.error.message ?? JSON.stringify(rollout.error)}`);
  for (const job of jobs) {
    const { error } = job;
    if (error !== null) say(`${displayName(job)}: ${error.code}: ${error.detail ?? error.message}`);
  }

  const report = createReport(rollout, jobs, fleet.adapters);
  process.stdout.write(`\n${renderReport(report)}\n${renderSummary(report)}\n`);
  process.stdout.write(`artifacts: ${stack.artifactsDir}${options.keep ? '' : ' (removed now; --keep leaves them)'}\n`);
  if (options.json !== undefined)
    await writeFileAtomic(path.resolve(options.json), `${JSON.stringify(report, null, 2)}\n`);
  return endedHonestly(report, jobs) ? 0 : 1;
}

/** Registers version 2 and follows the rollout until it and all its jobs, including controls, have ended. */
async function rollOut(
  fleet: RegisteredFleet,
  options: DemoOptions,
  signal: AbortSignal,
): Promise<{ rollout: Rollout; jobs: Job[] }> {
  const started = Date.now();
  const accepted = await fleet.operator.post<{ rollout: Rollout }>(`/v1/base-models/${fleet.baseModelId}/versions`, {
    version: '2',
    path: familyPath('v2'),
    rollout: { control: options.control, seed: options.seed },
  });
  say(`version 2 accepted in ${Date.now() - started} ms: rollout ${accepted.rollout.id}\n`);
  const view = createProgressView(process.stdout);
  try {
    for (;;) {
      const rollout = await fleet.operator.get<Rollout>(`/v1/rollouts/${accepted.rollout.id}`);
      const jobs = await allJobs(fleet, accepted.rollout.id);
      view.update(jobs, Date.now() - started);
      const ended =
        TERMINAL_ROLLOUT_STATES.some((state) => state === rollout.state) && jobs.every((job) => isTerminal(job.state));
      if (ended) return { rollout, jobs };
      await sleep(POLL_MS);
      signal.throwIfAborted();
    }
  } finally {
    view.close();
  }
}

/** The jobs of a rollout: adaptations in the order in which they were planned, then controls. */
async function allJobs(fleet: RegisteredFleet, rolloutId: string): Promise<Job[]> {
  const page = await fleet.operator.get<{ data: Job[] }>(`/v1/jobs?rollout_id=${rolloutId}&limit=100`);
  return page.data.sort((a, b) => (a.kind === b.kind ? (a.id < b.id ? -1 : 1) : a.kind === 'control' ? 1 : -1));
}

async function keepRunning(stack: LocalStack, dataDir: string, signal: AbortSignal): Promise<void> {
  say(`\nstill running: ${stack.url}, operator key ${stack.operatorKey}, data in ${dataDir}`);
  say('press Ctrl-C to stop');
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
