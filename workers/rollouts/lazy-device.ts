import { acquireDevice } from '../faults/handler-faults.ts';
import type { TrainingProcess, TrainingSlot } from '../training/training-process.ts';

/** Device that a handler waits for only when it first needs it. */
export interface LazyDevice {
  /**
   * Returns the device. The first call waits until the device is free, and takes it.
   * @throws TryLaterError if the worker stops before the device is free
   */
  acquire(): Promise<TrainingSlot>;
  release(): void;
}

export function createLazyDevice(training: TrainingProcess, signal: AbortSignal): LazyDevice {
  let slot: TrainingSlot | null = null;
  return {
    acquire: async () => (slot ??= await acquireDevice(training, signal)),
    release: () => slot?.release(),
  };
}
