import type { Device } from '../../options/devices.ts';

/** Reason why a device cannot be used. */
export interface Obstacle {
  readonly reason: string;
  /** Advice for the user; null if there is none. */
  readonly hint: string | null;
}

/** Error that is thrown if a device requested by name cannot be used. */
export class DeviceUnavailableError extends Error implements Obstacle {
  readonly code = 'device_unavailable';
  /** Marks the error as one that the user can fix by another choice of device or a change to the machine. */
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
