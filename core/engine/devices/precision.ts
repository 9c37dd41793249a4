import type { Device } from './device.ts';
import { DeviceUnavailableError } from './device-unavailable-error.ts';

export const PRECISIONS = ['f32', 'f16', 'int8'] as const;

/**
 * What the base's matrices are kept in on the device. f16 is widened before anything is computed. int8 is multiplied as
 * it is, with activations and gradients in 8 bits too. Adapters are always computed in float32.
 */
export type Precision = (typeof PRECISIONS)[number];

/** The precisions that a user may ask for; `auto` is int8 on a CPU where that measures well, and f32 elsewhere. */
export const PRECISION_SETTINGS = ['auto', ...PRECISIONS] as const;
export type PrecisionSetting = (typeof PRECISION_SETTINGS)[number];

/** The devices that can keep a base in each precision other than f32. */
const DEVICES: Readonly<Record<Exclude<Precision, 'f32'>, readonly Device[]>> = {
  f16: ['cuda', 'webgpu'],
  int8: ['cpu'],
};

/** @throws DeviceUnavailableError where the device cannot keep the base in that precision */
export function checkPrecision(device: Device, precision: PrecisionSetting): void {
  if (precision === 'auto' || precision === 'f32' || DEVICES[precision].includes(device)) return;
  const hint = `precision ${precision} is for ${DEVICES[precision].join(' and ')}`;
  throw new DeviceUnavailableError(device, { reason: `it does not keep the base in ${precision}`, hint });
}
