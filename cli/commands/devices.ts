import { Option, type Command } from 'commander';
import type { Device } from '../../core/options/devices.ts';
import type { DeviceReport } from '../../core/engine/devices/probe/probe.ts';
import { DEVICES } from '../../core/options/devices.ts';
import { UnsuccessfulResult } from '../errors.ts';
import { createOutput } from '../output.ts';

interface DevicesOptions {
  readonly json: boolean;
  readonly device?: Device;
}

export function register(program: Command): void {
  program
    .command('devices')
    .description('run a small program on every device and say which ones work here, and what the others lack')
    .option('--json', 'print one JSON document on stdout', false)
    .addOption(new Option('--device <name>', 'only this one').choices(DEVICES))
    .addHelpText('after', '\nExit code: 0; with --device 1 where that device does not work.')
    .action(run);
}

async function run({ json, device }: DevicesOptions): Promise<void> {
  const { probeDevice } = await import('../../core/engine/devices/probe/probe.ts');
  const reports: DeviceReport[] = [];
  for (const each of device === undefined ? DEVICES : [device]) reports.push(await probeDevice(each));
  const output = createOutput({ json });
  if (json) output.result({ devices: reports }, []);
  else process.stdout.write(await renderReports(reports));
  if (device !== undefined && !reports[0]!.available)
    throw new UnsuccessfulResult(`device ${device} cannot be used here`);
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
