import type { Config } from '../../../platform/config/config.ts';
import type { Logger } from '../../../lib/logger.ts';
import { InspectionProcess } from './inspection-process.ts';
import type { InspectedAdapter, InspectionRequest } from './protocol.ts';
import { createTurns } from './turns.ts';

/** Checks adapter folders against the folders of their base model versions. */
export interface AdapterInspector {
  /**
   * Checks one adapter folder against the folder of its base model version.
   *
   * @param owner the tenant that owns the adapter; adapters of one tenant are inspected one after the other
   * @throws an error with `code`, `file`, `subject` and `message` for files that cannot be used; AppError 422
   *   `inspection_timeout` or `inspection_out_of_memory`, 429 `too_many_inspections`, 503 `inspection_interrupted`
   */
  inspectAdapter(request: InspectionRequest, owner: string): Promise<InspectedAdapter>;
}

/**
 * Inspector that runs child processes and ends them when it is closed. The code that creates an inspector has to close
 * it.
 */
export interface ClosableInspector extends AdapterInspector {
  close(): Promise<void>;
}

/**
 * Share of a child process's memory limit. A process that uses less memory than this share may serve another
 * inspection. A process that uses more is replaced by a new one, so that the next inspection can use all of the memory.
 */
const REUSED_BELOW = 0.5;

export type InspectionSettings = Pick<Config, 'inspections' | 'inspectionMemoryBytes' | 'inspectionTimeoutMs'>;

/**
 * Creates an inspector that checks adapters in child processes, because the files come from tenants and may be harmful.
 * The inspector ends a child process that takes too long or too much memory, while this process goes on answering
 * requests. One child process is kept for the next inspection.
 */
export function createAdapterInspector(settings: InspectionSettings, logger: Logger): ClosableInspector {
  const limits = { memoryBytes: settings.inspectionMemoryBytes, timeoutMs: settings.inspectionTimeoutMs };
  const inTurn = createTurns(settings.inspections);
  let spare: InspectionProcess | null = new InspectionProcess(limits, logger);

  function take(): InspectionProcess {
    const process = spare?.alive === true ? spare : new InspectionProcess(limits, logger);
    spare = null;
    return process;
  }

  async function putBack(process: InspectionProcess): Promise<void> {
    const isFresh = process.alive && (await process.residentBytes()) < REUSED_BELOW * limits.memoryBytes;
    if (isFresh && spare === null) spare = process;
    else await process.stop();
  }

  return {
    inspectAdapter: (request, owner) =>
      inTurn(owner, async () => {
        const process = take();
        try {
          return await process.inspect(request);
        } finally {
          await putBack(process);
        }
      }),
    async close() {
      await spare?.stop();
      spare = null;
    },
  };
}
