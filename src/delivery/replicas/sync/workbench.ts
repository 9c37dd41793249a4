import type { ArtifactStore } from '../../../platform/artifacts/index.ts';
import type { Database } from '../../../platform/database/database.ts';
import { EngineError, type Engine } from '../engines/engine.ts';
import { changesSomething } from './check.ts';
import { gatePrompts } from './gate-prompts.ts';
import type { AdapterWork } from './plan.ts';
import { syncRepository as repository, type ClaimedReplica } from './sync.repository.ts';
import { retryIn, type SyncTimes } from './times.ts';

interface WorkbenchOptions {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  readonly engine: Engine;
  readonly replica: ClaimedReplica;
  readonly times: SyncTimes;
  /** Whether an adapter counts as serving only after a check that the engine uses it. */
  readonly checks: boolean;
}

/**
 * Carries out the steps for the adapters of one replica. Both methods throw {@link EngineError} if the engine becomes
 * unreachable.
 */
export interface Workbench {
  /**
   * Loads an adapter, checks it and moves its alias. A failure is recorded and retried later.
   * @returns whether the adapter serves
   */
  serve(work: AdapterWork): Promise<boolean>;
  /**
   * Asks the engine to unload a name. After a failure, a later turn tries again.
   * @returns whether the engine no longer has the name
   */
  unload(name: string): Promise<boolean>;
}

/** Error of an adapter that an engine has loaded, but that does not change the engine's completions. */
class UnusedAdapterError extends Error {
  readonly code = 'changes_nothing';
}

export function createWorkbench(options: WorkbenchOptions): Workbench {
  const { db, artifacts, engine, replica, times } = options;

  /**
   * Loads an adapter under a name. If the engine refuses, but has the name from the same folder, the name counts as
   * loaded: an earlier request that timed out has succeeded after all.
   */
  async function load(name: string, path: string): Promise<void> {
    try {
      await engine.load(name, path);
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'refused') throw error;
      if ((await engine.list()).adapters.get(name) !== path) throw error;
    }
  }

  /**
   * Asks the engine to unload a name, and ignores a refusal. If the engine's next list still has the name, the adapter
   * is checked again.
   */
  async function unloadIfThere(name: string): Promise<void> {
    await engine.unload(name).catch(failureOf);
  }

  /**
   * Checks an adapter, and unloads it after a failure, because a gateway may send requests to any adapter that an
   * engine lists. An adapter that was loaded before this step may be in use. It is unloaded only if the check has shown
   * that the engine does not use it, and stays loaded if the check could not be made.
   */
  async function checkOrUnload(work: AdapterWork): Promise<void> {
    try {
      await check(work);
    } catch (error) {
      failureOf(error);
      const isUnused = error instanceof UnusedAdapterError;
      if (work.load || isUnused) await unloadIfThere(work.adapter.name);
      if (isUnused && replica.aliases && work.alias === 'keep') await unloadIfThere(work.adapter.alias);
      throw error;
    }
  }

  async function check({ adapter: { name, datasetDigest } }: AdapterWork): Promise<void> {
    const prompts = await gatePrompts(artifacts, datasetDigest);
    if (await changesSomething(engine, name, prompts)) return;
    const message =
      `the engine completes ${prompts.length === 1 ? 'a prompt' : `${prompts.length} gate prompts`} with and without ` +
      'the adapter alike, so it does not use it. Look at the log of the engine. If the adapter really changes ' +
      'nothing, set check of the replica to none';
    throw new UnusedAdapterError(message);
  }

  async function perform(work: AdapterWork): Promise<void> {
    const { adapter, path, alias } = work;
    for (const name of work.unload) await engine.unload(name);
    if (work.load) {
      await repository.noteLoading(db, replica.id, adapter, options.checks);
      await load(adapter.name, path);
    }
    if (work.check) await checkOrUnload(work);
    if (alias === 'move') await engine.unload(adapter.alias);
    if (alias !== 'keep') await load(adapter.alias, path);
    await repository.noteServing(db, replica.id, adapter.name, options.checks);
  }

  return {
    async serve(work) {
      try {
        await perform(work);
        return true;
      } catch (error) {
        const failure = failureOf(error);
        const { name } = work.adapter;
        const retryMs = retryIn(times, work.attempts + 1, `${replica.id} ${name}`);
        await repository.noteFailed(db, replica.id, name, { error: failure, retryMs });
        return false;
      }
    },

    async unload(name) {
      try {
        await engine.unload(name);
        await repository.noteUnloaded(db, replica.id, name);
        return true;
      } catch (error) {
        // The next list shows whether the name is gone nevertheless.
        failureOf(error);
        return false;
      }
    },
  };
}

/**
 * Makes the error code and the message of a failed adapter.
 * @throws the error itself if it does not come from the adapter, but for example from an unreachable engine
 */
function failureOf(error: unknown): { code: string; message: string } {
  if (error instanceof UnusedAdapterError) return { code: error.code, message: error.message };
  const isOfReplica = error instanceof EngineError && (error.code === 'unreachable' || error.code === 'stopped');
  if (!(error instanceof EngineError) || isOfReplica) throw error;
  const code = error.code === 'refused' ? 'load_failed' : error.code;
  return { code, message: error.message };
}
