import { forkModule, modulePath } from '../../../installation/child-module.ts';
import { REFERENCE, runtimeOf, type Device, type RuntimeKind } from '../../../options/devices.ts';
import { explainFailure } from './explain-failure.ts';
import type { Precision } from '../../../options/precisions.ts';
import { missingRequirement, packageOf } from './requirements.ts';

/** Result of probing a device on this machine. */
export interface DeviceReport {
  readonly device: Device;
  readonly runtime: RuntimeKind;
  /** Name of the npm package that runs programs on the device. */
  readonly package: string;
  readonly available: boolean;
  /** Reason why the device can or cannot be used. */
  readonly reason: string;
  /** Advice for a device that cannot be used; null without advice. */
  readonly hint: string | null;
}

/** Answer of the probe process: the largest relative difference from the reference device's results, or an error. */
export type ProbeMessage = { readonly difference: number } | { readonly error: string };

export interface ProbeOptions {
  /** Time limit of a probe in milliseconds. Default: 60 s, since a GPU's shaders must be compiled. */
  readonly timeoutMs?: number;
  /** Environment variables of the probe process. Default: those of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Precision in which the device must be able to compute. Default: `f32`. */
  readonly precision?: Precision;
}

const ENTRY = modulePath('./probe-process', import.meta.url);

/**
 * Determines whether a device can be used. The function checks the device's requirements, then runs a small program
 * with its gradient and compares the results with those of the reference device. The program runs in a process of its
 * own, since a bad driver may crash or hang.
 */
export async function probeDevice(device: Device, options: ProbeOptions = {}): Promise<DeviceReport> {
  const common = { device, runtime: runtimeOf(device), package: packageOf(device) };
  if (device === REFERENCE) return { ...common, available: true, reason: 'it is the reference', hint: null };
  const missing = missingRequirement(device);
  if (missing) return { ...common, available: false, ...missing };
  const { message, output } = await runProbeProcess(device, options);
  if ('error' in message) return { ...common, available: false, ...explainFailure(device, message.error, output) };
  const reason = `a small program and its gradient agree with the reference to ${message.difference.toExponential(0)}`;
  return { ...common, available: true, reason, hint: null };
}

interface ProbeResult {
  readonly message: ProbeMessage;
  /** Text that the probe process wrote to stdout and stderr. */
  readonly output: string;
}

function runProbeProcess(device: Device, options: ProbeOptions): Promise<ProbeResult> {
  const { timeoutMs = 60_000, env = process.env, precision = 'f32' } = options;
  const child = forkModule(ENTRY, [device, precision], { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let output = '';
  let message: ProbeMessage | null = null;
  let timedOut = false;
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.once('message', (answer) => (message = answer as ProbeMessage));
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  return new Promise((resolve) => {
    const end = (error: string): void => {
      clearTimeout(timer);
      resolve({ message: message ?? { error }, output });
    };
    child.once('error', (error) => end(`its probe could not be started: ${error.message}`));
    child.once('close', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : signal;
      end(timedOut ? `its probe did not end within ${timeoutMs} ms` : `its probe died (${how})${lastLine(output)}`);
    });
  });
}

function lastLine(output: string): string {
  const line = output.trim().split('\n').at(-1) ?? '';
  return line === '' ? '' : `: ${line}`;
}
