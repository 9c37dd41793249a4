import os from 'node:os';
import { largestMemory } from '../../core/engine/memory/process-memory.ts';
import { packageVersion } from '../../core/installation/package-path.ts';
import type { DeviceChoice } from '../../core/options/devices.ts';
import type { Config } from '../../src/platform/config/config.ts';
import type { Database } from '../../src/platform/database/database.ts';
import { newId } from '../../src/platform/contract/ids.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { MemoryCheck } from '../adaptations/memory-check.ts';
import { BaseAvailability } from '../bases/base-availability.ts';
import type { OpenedBases } from '../bases/open-local-bases.ts';
import { createRegistration, type Registration } from '../registration/registration.ts';
import type { WorkerControl } from './worker-control.ts';
import type { WorkerTimes } from './worker-options.ts';

interface ListingOptions {
  readonly db: Database;
  readonly device: DeviceChoice;
  /** Folders of the bases that the training process has in memory. */
  readonly loaded: () => readonly string[];
  readonly local: Pick<OpenedBases, 'nameOf'>;
  readonly control: WorkerControl;
  readonly logger: Logger;
  readonly times: WorkerTimes;
}

/**
 * Entry of a worker in the list of workers, with the trackers of unreadable bases and of refused jobs that the list
 * shows.
 */
export interface ListedWorker {
  readonly workerId: string;
  readonly availability: BaseAvailability;
  readonly check: MemoryCheck;
  readonly registration: Registration;
}

/** Prepares a worker's entry in the list of workers. `registration.start` writes it. */
export function listWorker(config: Config, options: ListingOptions): ListedWorker {
  const { db, device, loaded, local, control, logger, times } = options;
  const workerId = newId('worker');
  const availability = new BaseAvailability(times.quarantine, () => registration.changed());
  const memory = largestMemory(config.memoryBytes);
  const check = new MemoryCheck({ available: memory, precision: config.precision });
  const registration = createRegistration({
    db,
    logger,
    worker: {
      id: workerId,
      host: os.hostname(),
      pid: process.pid,
      version: packageVersion(),
      device,
      memoryBytes: Number.isFinite(memory.bytes) ? BigInt(Math.floor(memory.bytes)) : null,
    },
    unreadableBases: () => availability.unreadable,
    loadedFolders: () => loaded().map(local.nameOf),
    onDrain: (wanted) => control.drain(wanted),
    onLift: () => control.liftQuarantine(),
    onClock: (reading) => control.compareClock(reading),
    intervalMs: times.registrationMs,
  });
  return { workerId, availability, check, registration };
}
