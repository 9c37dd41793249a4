import type { Device, DeviceChoice } from './device.ts';
import { DeviceUnavailableError } from './device-unavailable-error.ts';
import { probeDevice, type DeviceReport } from './probe.ts';

/** The device to compute on, and why it is this one. */
export interface ChosenDevice {
  readonly device: Device;
  readonly reason: string;
}

/** Devices that are in every installation and need no driver: they are taken without a probe. */
const ALWAYS_THERE: ReadonlySet<Device> = new Set(['cpu', 'tfjs-cpu']);

/**
 * The device that was asked for, if it works; `auto` takes CUDA where it works and the CPU elsewhere. WebGPU and the
 * eager devices are never chosen by themselves.
 * @throws DeviceUnavailableError where a device was asked for by name and does not work
 */
export async function chooseDevice(
  choice: DeviceChoice,
  probe: (device: Device) => Promise<DeviceReport> = probeDevice,
): Promise<ChosenDevice> {
  if (choice === 'auto') {
    const { available, reason } = await probe('cuda');
    return available ? { device: 'cuda', reason } : { device: 'cpu', reason: `cuda cannot be used: ${reason}` };
  }
  if (ALWAYS_THERE.has(choice)) return { device: choice, reason: 'asked for' };
  const report = await probe(choice);
  if (!report.available) throw new DeviceUnavailableError(choice, report);
  return { device: choice, reason: `asked for; ${report.reason}` };
}
