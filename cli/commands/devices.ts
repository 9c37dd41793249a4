import { Option, type Command } from 'commander';
import type { DeviceReport } from '../../core/engine/devices/probe/probe.ts';
import { DEVICES, type Device } from '../../core/options/devices.ts';
import { UnsuccessfulResult } from '../errors.ts';
import { addJsonOption, type JsonOption } from '../options/common-options.ts';
import { createOutput } from '../output.ts';

interface DevicesOptions extends JsonOption {
  readonly device?: Device;
}

export function register(program: Command): void {
  const command = program
    .command('devices')
    .description('Run a small program on every device, and say which ones work here and what the others lack.')
    .addOption(new Option('--device <name>', 'Device to try instead of all.').choices(DEVICES))
    .addHelpText('after', '\nThe exit code is 0. With --device, it is 1 if that device does not work.')
    .action(run);
  addJsonOption(command);
}

async function run({ json, device }: DevicesOptions): Promise<void> {
  const { probeDevice } = await import('../../core/engine/devices/probe/probe.ts');
  const reports: DeviceReport[] = [];
  for (const each of device === undefined ? DEVICES : [device]) reports.push(await probeDevice(each));
  const output = createOutput({ json });
  if (json) output.result({ devices: reports }, []);
  else process.stdout.write(await renderReports(reports));
  if (device !== undefined && !reports.every(({ available }) => available)) {
    throw new UnsuccessfulResult(`device ${device} cannot be used here`);
  }
}

async function renderReports(reports: readonly DeviceReport[]): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const style = { head: [], border: [] };
  const head = ['device', 'runtime', 'works', 'because'];
  const table = new Table({ head, style, colWidths: [15, 10, 7, 84], wordWrap: true });
  for (const { device, runtime, available, reason, hint } of reports) {
    table.push([device, runtime, available ? 'yes' : 'no', hint === null ? reason : `${reason}: ${hint}`]);
  }
  return `${table.toString()}\n`;
}
