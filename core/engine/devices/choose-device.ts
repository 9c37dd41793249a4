import type { Device, DeviceChoice } from '../../options/devices.ts';
import { DeviceUnavailableError } from './device-unavailable-error.ts';
import { checkPrecision } from './precision.ts';
import type { Precision, PrecisionSetting } from '../../options/precisions.ts';
import { probeDevice, type DeviceReport } from './probe/probe.ts';

/** Chosen device, and the reason for the choice. */
export interface ChosenDevice {
  readonly device: Device;
  readonly reason: string;
}

/** Devices that are part of every installation and need no driver, so that they need no probe. */
const ALWAYS_THERE: ReadonlySet<Device> = new Set(['cpu', 'tfjs-cpu']);

export interface DeviceChoiceOptions {
  /** Precision of the bases' matrices, which the device must support. Default: `f32`. */
  readonly precision?: PrecisionSetting;
  readonly probe?: (device: Device, options: { precision: Precision }) => Promise<DeviceReport>;
}

/**
 * Chooses the requested device, if it works. `auto` chooses CUDA if it works and the CPU otherwise, never WebGPU or an
 * eager device.
 * @throws DeviceUnavailableError if the requested device does not work or does not support the precision
 */
export async function chooseDevice(choice: DeviceChoice, options: DeviceChoiceOptions = {}): Promise<ChosenDevice> {
  const { precision: setting = 'f32', probe = probeDevice } = options;
  const precision = setting === 'auto' ? 'f32' : setting;
  if (choice === 'auto') {
    const { available, reason } = await probe('cuda', { precision });
    if (available) return { device: 'cuda', reason };
    checkPrecision('cpu', precision);
    return { device: 'cpu', reason: `cuda cannot be used: ${reason}` };
  }
  checkPrecision(choice, precision);
  if (ALWAYS_THERE.has(choice)) return { device: choice, reason: 'asked for' };
  const report = await probe(choice, { precision });
  if (!report.available) throw new DeviceUnavailableError(choice, report);
  return { device: choice, reason: `asked for; ${report.reason}` };
}
