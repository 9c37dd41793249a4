import type { Device } from '../../options/devices.ts';

/** A device was asked for by name and cannot be used. */
export class DeviceUnavailableError extends Error {
  readonly code = 'device_unavailable';
  /** It is the choice that has to change, or the machine. */
  readonly badInput = true;
  readonly device: Device;
  /** What is missing. */
  readonly reason: string;
  /** What to do about it; null where nothing is known. */
  readonly hint: string | null;

  constructor(device: Device, { reason, hint }: { reason: string; hint: string | null }) {
    super(`device ${device} cannot be used: ${reason}${hint === null ? '' : ` (${hint})`}`);
    this.name = 'DeviceUnavailableError';
    this.device = device;
    this.reason = reason;
    this.hint = hint;
  }
}
