import type { Device } from '../../options/devices.ts';

/** Thrown where a device cannot be used that was asked for by name. */
export class DeviceUnavailableError extends Error {
  readonly code = 'device_unavailable';
  /** Marks an error that a different choice, or a change to the machine, removes. */
  readonly badInput = true;
  readonly device: Device;
  /** What is missing. */
  readonly reason: string;
  /** What to do about it, or null where nothing is known. */
  readonly hint: string | null;

  constructor(device: Device, { reason, hint }: { reason: string; hint: string | null }) {
    super(`device ${device} cannot be used: ${reason}${hint === null ? '' : ` (${hint})`}`);
    this.name = 'DeviceUnavailableError';
    this.device = device;
    this.reason = reason;
    this.hint = hint;
  }
}
