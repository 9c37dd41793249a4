import { acquireDevice } from '../handler-faults.ts';
import type { TrainingProcess, TrainingSlot } from '../training/training-process.ts';

/** The device of a handler that may not need it at once. */
export interface LateDevice {
  /** Waits until the device is free, the first time. @throws TryLaterError if the worker stops before that */
  acquire(): Promise<TrainingSlot>;
  release(): void;
}

export function createLateDevice(training: TrainingProcess, signal: AbortSignal): LateDevice {
  let slot: TrainingSlot | null = null;
  return {
    acquire: async () => (slot ??= await acquireDevice(training, signal)),
    release: () => slot?.release(),
  };
}
