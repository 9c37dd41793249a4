import { access } from 'node:fs/promises';
import path from 'node:path';
import { registerArtifact } from '../../src/platform/artifacts/index.ts';
import type { ArtifactStore } from '../../src/platform/artifacts/artifact-store.ts';
import { PermanentError } from '../../src/platform/queue/index.ts';
import { withTransaction, type Database, type Prisma } from '../../src/platform/database/database.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { inSpan, type Tracing } from '../../src/platform/tracing/tracing.ts';
import { recordEvent } from '../../src/delivery/events/index.ts';
import type { LocalBases } from '../bases/local-bases.ts';
import { MISSING_FILE } from '../faults/handler-faults.ts';
import { unusableFiles } from '../faults/stored-problem.ts';
import { TrainingFailedError } from '../training/training-errors.ts';
import type { DescribeOutcome } from '../training/protocol.ts';
import type { TrainingSlot } from '../training/training-process.ts';
import { createAnalysisRepository, type AnalyzedVersionRow } from './analysis.repository.ts';

export interface AnalysisContext {
  db: Database;
  artifacts: ArtifactStore;
  slot: TrainingSlot;
  /** Access to the files of bases on this worker. The files of the examined versions must already be there. */
  local: LocalBases;
  tracing: Tracing;
  signal: AbortSignal;
  logger: Logger;
}

/**
 * Thrown if a rollout can carry over no adapter at all, or no adapter of one old base model version. The database
 * stores `problem` unchanged.
 */
export class RefusalError extends PermanentError {
  readonly problem: { code: string; message: string } & Prisma.InputJsonObject;

  constructor(problem: RefusalError['problem']) {
    super(problem.message, { code: problem.code });
    this.name = 'RefusalError';
    this.problem = problem;
  }
}

export interface VersionsToExamine {
  readonly newId: string;
  /** Identifiers of the old base model versions, for which the adapters were trained. */
  readonly oldIds: readonly string[];
  /** Reasons why files of old base model versions can no longer be fetched, by version id. */
  readonly gone: ReadonlyMap<string, RefusalError['problem']>;
}

/** Base model versions of a rollout after their files were examined. */
export interface ExaminedVersions {
  /** Reasons why the adapters of old base model versions cannot be carried over, by version id. */
  readonly refusals: ReadonlyMap<string, RefusalError['problem']>;
  readonly newBase: AnalyzedVersionRow;
  /** Old base model versions whose adapters can be carried over to the new one. */
  readonly usable: readonly AnalyzedVersionRow[];
  /** Time that the computation of evolutions took, in milliseconds. Evolutions that were stored already take none. */
  readonly evolvingMs: number;
}

/**
 * Verifies the files of the new base model version and of each old version that adapters were trained for, and computes
 * the evolution of each pair, once for all tenants.
 * @throws RefusalError if the new version cannot be used
 */
export async function examineVersions(
  context: AnalysisContext,
  { newId, oldIds, gone }: VersionsToExamine,
): Promise<ExaminedVersions> {
  const repository = createAnalysisRepository(context.db);
  const { local } = context;
  const newBase = local.locate(await repository.baseModelVersion(newId));
  await verify(context, newBase);
  const refusals = new Map<string, RefusalError['problem']>(gone);
  const usable: AnalyzedVersionRow[] = [];
  let evolvingMs = 0;
  for (const oldId of oldIds.filter((id) => !gone.has(id))) {
    try {
      const oldBase = local.locate(await repository.baseModelVersion(oldId));
      await verify(context, oldBase);
      const attributes = { 'readapt.old_version_id': oldBase.id, 'readapt.new_version_id': newBase.id };
      evolvingMs += await inSpan(context.tracing, 'rollout.evolution', { attributes }, () =>
        evolve(context, oldBase, newBase),
      );
      usable.push(oldBase);
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      refusals.set(oldId, error.problem);
    }
  }
  return { refusals, newBase, usable, evolvingMs };
}

/**
 * Examines the versions of a rollout. Afterwards the training process begins to load the bases of the first job.
 * @returns the problem of each old version whose adapters cannot be carried over, by version id
 * @throws RefusalError if the new version cannot be used, or no old one fits it
 */
export async function analyzeRolloutVersions(
  context: AnalysisContext,
  versions: VersionsToExamine,
): Promise<ExaminedVersions['refusals']> {
  const examined = await examineVersions(context, versions);
  const { refusals, newBase, usable } = examined;
  const [first] = refusals.values();
  if (first !== undefined && usable.length === 0) throw new RefusalError(first);
  // The first job then finds the bases loaded, or waits only until they are.
  context.slot.preload([newBase, ...usable.slice(0, 1)].map((version) => version.path));
  return refusals;
}

/**
 * Checks the files of a base model version, and compares their fingerprint with the one that was stored when the
 * version was verified.
 */
async function verify(context: AnalysisContext, version: AnalyzedVersionRow): Promise<void> {
  const { db } = context;
  const repository = createAnalysisRepository(db);
  try {
    const found = await describe(context, version);
    if (version.fingerprint !== null && version.fingerprint !== found.fingerprint) {
      throw new RefusalError({
        code: 'base_model_version_changed',
        message:
          `the files of base model version ${version.version} changed: fingerprint ${found.fingerprint}, ` +
          `expected ${version.fingerprint}; register changed files as a new version`,
        base_model_version_id: version.id,
      });
    }
    await withTransaction(db, async (tx) => {
      if (await repository.markVerified(tx, version.id, found)) {
        const data = { fingerprint: found.fingerprint };
        await recordEvent(tx, { tenantId: null, type: 'base_model_version.verified', subjectId: version.id, data });
      }
    });
  } catch (error) {
    if (isMissing(error) && (version.fingerprint !== null || !(await isThere(version.path)))) throw error;
    const refusal = toRefusal(error, version);
    await withTransaction(db, async (tx) => {
      if (await repository.markFailed(tx, version.id, refusal.problem)) {
        const data = { error: refusal.problem };
        await recordEvent(tx, { tenantId: null, type: 'base_model_version.failed', subjectId: version.id, data });
      }
    });
    throw refusal;
  }
}

/**
 * Reads the files of a base model version. If a file is missing although the folder is there, the files are read once
 * more: the folder may just have come back, and only a permanently missing file makes a version unusable.
 */
async function describe({ slot, signal }: AnalysisContext, version: AnalyzedVersionRow): Promise<DescribeOutcome> {
  try {
    return await slot.describe({ base: version.path }, signal);
  } catch (error) {
    if (!isMissing(error) || !(await isThere(version.path))) throw error;
    return slot.describe({ base: version.path }, signal);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof TrainingFailedError && error.code === MISSING_FILE;
}

/** Whether a base's folder contains the model's `config.json`. An empty mount point does not contain it. */
function isThere(folder: string): Promise<boolean> {
  return access(path.join(folder, 'config.json')).then(
    () => true,
    () => false,
  );
}

/**
 * Converts a permanent fault of the files to a refusal. Rethrows any other error, so that the analysis is tried again.
 */
function toRefusal(error: unknown, version: AnalyzedVersionRow): RefusalError {
  if (error instanceof RefusalError) return error;
  if (!(error instanceof TrainingFailedError) || !error.permanent || error.code === 'cancelled') throw error;
  const { message, ...problem } = unusableFiles(error);
  return new RefusalError({
    ...problem,
    message: `base model version ${version.version}: ${message}`,
    base_model_version_id: version.id,
  });
}

/**
 * Computes and stores the evolution from the old base to the new one, unless it is stored already.
 * @returns the time of the computation, in milliseconds
 */
async function evolve(
  context: AnalysisContext,
  oldBase: AnalyzedVersionRow,
  newBase: AnalyzedVersionRow,
): Promise<number> {
  const { db, artifacts, slot, signal, logger } = context;
  const repository = createAnalysisRepository(db);
  const row = await repository.evolution(oldBase.id, newBase.id);
  if (row.state === 'ready' && row.artifactDigest !== null && (await artifacts.has(row.artifactDigest))) return 0;
  try {
    return await artifacts.withScratch(async (folder) => {
      const spec = { oldBase: oldBase.path, newBase: newBase.path, outDir: path.join(folder, 'evolution') };
      const outcome = await slot.evolve(spec, signal);
      const stored = await artifacts.putFolder(outcome.dir, 'evolution');
      await withTransaction(db, async (tx) => {
        await registerArtifact(tx, artifacts, stored);
        await repository.evolutionReady(tx, row.id, outcome, stored.digest);
        const data = {
          old_base_model_version_id: oldBase.id,
          new_base_model_version_id: newBase.id,
          drift: outcome.drift,
          rank: outcome.rank,
        };
        await recordEvent(tx, { tenantId: null, type: 'evolution.ready', subjectId: row.id, data });
      });
      logger.info({ drift: outcome.drift, rank: outcome.rank, computeMs: outcome.computeMs }, 'evolution computed');
      return outcome.computeMs;
    });
  } catch (error) {
    if (!(error instanceof TrainingFailedError) || error.differences === undefined) throw error;
    const differences = error.differences as unknown as Prisma.InputJsonArray;
    await repository.evolutionFailed(row.id, differences);
    throw new RefusalError({
      code: 'incompatible_base_model_versions',
      message:
        `adapters of base model version ${oldBase.version} do not fit version ${newBase.version}: ` + error.message,
      differences,
    });
  }
}
