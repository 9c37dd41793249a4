import { kindOf, type Device, type DeviceKind } from '../../options/devices.ts';
import type { Precision, PrecisionSetting } from '../../options/precisions.ts';
import { DeviceUnavailableError } from './device-unavailable-error.ts';

/** Devices that support each precision other than `f32`, which all devices support. */
const DEVICES: Readonly<Record<Exclude<Precision, 'f32'>, readonly DeviceKind[]>> = {
  f16: ['cuda', 'webgpu'],
  int8: ['cpu'],
};

/** Whether the device can compute with a base in the given precision. */
export function supportsPrecision(device: Device, precision: Precision): boolean {
  return precision === 'f32' || DEVICES[precision].includes(kindOf(device));
}

/**
 * Checks that the device can compute with a base in the given precision.
 * @throws DeviceUnavailableError if the device cannot
 */
export function checkPrecision(device: Device, precision: PrecisionSetting): void {
  if (precision === 'auto' || precision === 'f32' || supportsPrecision(device, precision)) return;
  const hint = `precision ${precision} is for ${DEVICES[precision].join(' and ')}`;
  throw new DeviceUnavailableError(device, { reason: `it does not keep the base in ${precision}`, hint });
}
