import type { Device } from './device.ts';
import { DeviceUnavailableError } from './device-unavailable-error.ts';

/** What the base's matrices are kept in on the device; all is computed in float32. */
export type Precision = 'f32' | 'f16';

export const PRECISIONS: readonly Precision[] = ['f32', 'f16'];

const WITH_HALF: ReadonlySet<Device> = new Set(['cuda', 'webgpu']);

/** @throws DeviceUnavailableError where the device does not keep the base in that precision */
export function checkPrecision(device: Device, precision: Precision): void {
  if (precision === 'f32' || WITH_HALF.has(device)) return;
  const hint = `precision ${precision} is for ${[...WITH_HALF].join(' and ')}`;
  throw new DeviceUnavailableError(device, { reason: `it does not keep the base in ${precision}`, hint });
}
