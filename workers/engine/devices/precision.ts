import type { Device } from './device.ts';
import { DeviceUnavailableError } from './device-unavailable-error.ts';

/** What matrix products are computed in; everything else is float32 in both. */
export type Precision = 'f32' | 'f16';

export const PRECISIONS: readonly Precision[] = ['f32', 'f16'];

const WITH_HALF: ReadonlySet<Device> = new Set(['cuda', 'webgpu']);

/** @throws DeviceUnavailableError where the device does not compute in the precision */
export function checkPrecision(device: Device, precision: Precision): void {
  if (precision === 'f32' || WITH_HALF.has(device)) return;
  const hint = `precision ${precision} is for ${[...WITH_HALF].join(' and ')}`;
  throw new DeviceUnavailableError(device, { reason: `it does not compute in ${precision}`, hint });
}
