import type { Device } from '../../options/devices.ts';

/** What keeps a device from being used. */
export interface Obstacle {
  readonly reason: string;
  /** What to do about it, or null where nothing is known. */
  readonly hint: string | null;
}

/** Thrown where a device that was asked for by name cannot be used. */
export class DeviceUnavailableError extends Error implements Obstacle {
  readonly code = 'device_unavailable';
  /** Marks an error that another choice, or a change to the machine, removes. */
  readonly badInput = true;
  readonly device: Device;
  readonly reason: string;
  readonly hint: string | null;

  constructor(device: Device, { reason, hint }: Obstacle) {
    super(`device ${device} cannot be used: ${reason}${hint === null ? '' : ` (${hint})`}`);
    this.name = 'DeviceUnavailableError';
    this.device = device;
    this.reason = reason;
    this.hint = hint;
  }
}
