import { Option, type Command } from 'commander';
import type { DeviceCheck } from '../../core/device-check/check-report.ts';
import type { DeviceReport } from '../../core/engine/devices/probe/probe.ts';
import { DEVICES, type Device } from '../../core/options/devices.ts';
import { UnsuccessfulResult } from '../process/errors.ts';
import { addJsonOption, type JsonOption } from '../options/common-options.ts';
import { device as parseDevice, integer, number } from '../options/parsers.ts';
import { createOutput } from '../screen/output.ts';

interface DevicesOptions extends JsonOption {
  readonly device?: Device;
  readonly check?: boolean;
  readonly threads?: number;
  readonly batchSeconds?: number;
}

const HELP = `
The exit code is 0. With --device, it is 1 if that device does not work; with --check, it is 1 if a device that can be
used computes something else than the reference.`;

export function addDevicesCommand(program: Command): void {
  const names = `${DEVICES.join(', ')}, or cuda:N for one of several cards`;
  const command = program
    .command('devices')
    .description('Run a small program on every device, and say which ones work here and what the others lack.')
    .addOption(new Option('--device <name>', `Device to try instead of all: ${names}.`).argParser(parseDevice))
    .option(
      '--check',
      'Compare losses, logits, gradients and training steps of every family of models with the reference, and ' +
        'measure the speed.',
    )
    .option('--threads <n>', 'Number of threads that --check computes with. (default: one for each core)', integer(1))
    .option(
      '--batch-seconds <seconds>',
      'Longest time that a batch may be expected to take when --check measures the speed; larger ones are left out. ' +
        '(default: 12)',
      number((seconds) => seconds > 0, 'a number above 0'),
    )
    .addHelpText('after', HELP)
    .action(run);
  addJsonOption(command);
}

async function run(options: DevicesOptions): Promise<void> {
  const devices = options.device === undefined ? DEVICES : [options.device];
  return options.check ? check(devices, options) : probe(devices, options);
}

async function probe(devices: readonly Device[], { json, device }: DevicesOptions): Promise<void> {
  const { probeDevice } = await import('../../core/engine/devices/probe/probe.ts');
  const { renderReports } = await import('../reports/device-report.ts');
  const reports: DeviceReport[] = [];
  for (const each of devices) reports.push(await probeDevice(each));
  if (json) createOutput({ json }).result({ devices: reports }, []);
  else process.stdout.write(await renderReports(reports));
  if (device !== undefined && !reports.every(({ available }) => available)) {
    throw new UnsuccessfulResult(`device ${device} cannot be used here`);
  }
}

async function check(
  devices: readonly Device[],
  { json, device, threads, batchSeconds }: DevicesOptions,
): Promise<void> {
  const { checkDevice } = await import('../../core/device-check/check-device.ts');
  const { checkDocument, renderCheck } = await import('../reports/device-report.ts');
  const output = createOutput({ json });
  const checks: DeviceCheck[] = [];
  const batchMs = batchSeconds && 1000 * batchSeconds;
  for (const each of devices) {
    const found = await checkDevice(each, { threads, batchMs, onProgress: (line) => output.progress(line) });
    checks.push(found);
    if (!json) output.result({}, [], renderCheck(found));
  }
  if (json) output.result(checkDocument(checks), []);
  const failed = checks.filter(({ available, works }) => !works && (available || device !== undefined));
  if (failed.length > 0)
    throw new UnsuccessfulResult(`the check failed for ${failed.map((each) => each.device).join(', ')}`);
}
