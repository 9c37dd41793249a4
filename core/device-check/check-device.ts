import { availableParallelism } from 'node:os';
import { explainFailure } from '../engine/devices/probe/explain-failure.ts';
import { probeDevice } from '../engine/devices/probe/probe.ts';
import { forkModule, modulePath } from '../installation/child-module.ts';
import { kindOf, REFERENCE, type Device } from '../options/devices.ts';
import type { BenchmarkResult, CaseResult, DeviceCheck, Findings, TrainingResult } from './check-report.ts';
import { hardwareOf } from './hardware.ts';
import { tf32Result, verdictOf, passesCheck } from './verdict.ts';

/** Message from the process that checks a device to its parent. Each finding is sent as soon as it is there. */
export type CheckMessage =
  | { readonly type: 'case'; readonly result: CaseResult }
  | { readonly type: 'training'; readonly result: TrainingResult }
  | { readonly type: 'benchmark'; readonly result: BenchmarkResult }
  | { readonly type: 'error'; readonly message: string }
  | { readonly type: 'done' };

export interface CheckOptions {
  /** Number of threads that compute one operator. Default: one for each core. */
  readonly threads?: number;
  /** Longest time, in milliseconds, that a measured batch may be expected to take. Default: 12 seconds. */
  readonly batchMs?: number;
  /** Time limit of each check process, in milliseconds. Default: five minutes. */
  readonly timeoutMs?: number;
  /** Called with a line of text about each finding. */
  readonly onProgress?: (line: string) => void;
}

const ENTRY = modulePath('./check-process', import.meta.url);

/**
 * Returns the device that a checked device is compared with: plain JavaScript, or the compiled CPU if plain JavaScript
 * itself is checked.
 */
export function referenceOf(device: Device): Device {
  return device === REFERENCE ? 'cpu' : REFERENCE;
}

/**
 * Compares a device with a reference device on small random models of every family (losses, logits, gradients, training
 * steps) and measures its speed beside the CPU's. The check runs in a process of its own, since a bad driver may crash
 * or hang. On `cuda`, a second process measures the effect of TF32.
 */
export async function checkDevice(device: Device, options: CheckOptions = {}): Promise<DeviceCheck> {
  const begun = performance.now();
  const common = { device, hardware: await hardwareOf(device), reference: referenceOf(device) };
  const { available, reason, hint } = await probeDevice(device);
  if (!available) {
    const verdict = `cannot be used: ${reason}${hint === null ? '' : ` (${hint})`}`;
    return { ...common, ...NOTHING, available, works: false, verdict, tf32: null, seconds: secondsSince(begun) };
  }
  // The main check runs without TF32, even if the operator has switched it on, to test the card itself.
  const found = await runCheckProcess(device, options, { ...process.env, NVIDIA_TF32_OVERRIDE: '0' });
  const tf32 = kindOf(device) === 'cuda' ? await checkTf32(device, options, found) : null;
  const { failure, ...findings } = found;
  const works = failure === null && passesCheck(findings);
  const verdict = verdictOf(findings, { reference: common.reference, failure });
  return { ...common, ...findings, available, works, verdict, tf32, seconds: secondsSince(begun) };
}

const NOTHING: Findings = { cases: [], training: null, benchmark: null };

async function checkTf32(device: Device, options: CheckOptions, exact: Findings) {
  options.onProgress?.(`${device}: the same with TF32`);
  const rounded = await runCheckProcess(device, options, { ...process.env, NVIDIA_TF32_OVERRIDE: '1' });
  return tf32Result(exact, rounded);
}

interface CheckRun extends Findings {
  /** Reason for which the check process ended early; null if it finished the check. */
  readonly failure: string | null;
}

function runCheckProcess(device: Device, options: CheckOptions, env: NodeJS.ProcessEnv): Promise<CheckRun> {
  const { threads = availableParallelism(), batchMs = 12_000, timeoutMs = 300_000, onProgress } = options;
  const child = forkModule(ENTRY, [device, String(threads), String(batchMs)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const cases: CaseResult[] = [];
  let [training, benchmark]: [TrainingResult | null, BenchmarkResult | null] = [null, null];
  let [output, failure, done]: [string, string | null, boolean] = ['', null, false];
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-MAX_OUTPUT)));
  child.on('message', (received) => {
    const message = received as CheckMessage;
    if (message.type === 'case') cases.push(message.result);
    if (message.type === 'training') training = message.result;
    if (message.type === 'benchmark') benchmark = message.result;
    if (message.type === 'error') failure = explainFailure(device, message.message, output).reason;
    if (message.type === 'done') done = true;
    const line = describe(message);
    if (line !== null) onProgress?.(`${device}: ${line}`);
  });
  const timer = setTimeout(() => {
    failure = `the check did not end within ${timeoutMs / 1000} s`;
    child.kill('SIGKILL');
  }, timeoutMs);
  return new Promise((resolve) => {
    const end = (reason: string): void => {
      clearTimeout(timer);
      resolve({ cases, training, benchmark, failure: failure ?? (done ? null : reason) });
    };
    child.once('error', (error) => end(`the check could not be started: ${error.message}`));
    child.once('close', (code, signal) => {
      const last = output.trim().split('\n').at(-1) ?? '';
      end(`the check's process died (${signal ?? `exit code ${code}`})${last === '' ? '' : `: ${last}`}`);
    });
  });
}

/** Number of trailing characters of the process's output that are kept for messages. */
const MAX_OUTPUT = 10_000;

function describe(message: CheckMessage): string | null {
  if (message.type === 'case') return `${message.result.name}: ${message.result.passed ? 'agrees' : 'does NOT agree'}`;
  if (message.type === 'training') return `training: ${message.result.passed ? 'agrees' : 'does NOT agree'}`;
  return message.type === 'benchmark' ? `measured ${message.result.model}` : null;
}

function secondsSince(begun: number): number {
  return Math.round((performance.now() - begun) / 100) / 10;
}
