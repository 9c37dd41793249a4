import { sourceText, type PinnedFiles, type UploadSource } from '../../platform/base-sources/index.ts';
import { isUniqueViolation, Prisma, type Queryable } from '../../platform/database/database.ts';
import { conflict, unprocessable } from '../../platform/contract/errors.ts';
import { pageArguments, type PageQuery } from '../../platform/contract/pagination.ts';

export interface NewBaseModelVersion {
  id: string;
  baseModelId: string;
  version: string;
  path: string;
  servingName: string;
  config: Prisma.InputJsonObject;
  retiresAt: Date | null;
  /** Files that are pinned in a hub, a bucket or an upload; null if the version's files lie in a folder. */
  pinned: (PinnedFiles & { key: string }) | null;
  sealedToken: string | null;
}

const withModel = { include: { baseModel: { select: { name: true } } } } as const;

export type BaseModelVersionRow = Prisma.BaseModelVersionGetPayload<typeof withModel>;

/**
 * Finds a base model by its identifier or its name. If the text is the identifier of one model and the name of another,
 * the identifier counts.
 */
export async function findBaseModel(db: Queryable, idOrName: string) {
  const found = await db.baseModel.findMany({ where: { OR: [{ id: idOrName }, { name: idOrName }] } });
  return found.find((model) => model.id === idOrName) ?? found[0] ?? null;
}

export function findBaseModelVersion(db: Queryable, id: string): Promise<BaseModelVersionRow | null> {
  return db.baseModelVersion.findUnique({ where: { id }, ...withModel });
}

/** Finds a version of one base model by its identifier or its version text. */
export function findVersionOfModel(db: Queryable, baseModelId: string, reference: string) {
  return db.baseModelVersion.findFirst({ where: { baseModelId, OR: [{ id: reference }, { version: reference }] } });
}

export const baseModelRepository = {
  async insertModel(
    db: Queryable,
    model: { id: string; name: string; policy?: Prisma.InputJsonObject; servingProfile?: Prisma.InputJsonObject },
  ) {
    try {
      return await db.baseModel.create({ data: model });
    } catch (error) {
      if (isUniqueViolation(error)) {
        throw conflict('base_model_exists', `there is already a base model named ${model.name}`);
      }
      throw error;
    }
  },

  pageModels: (db: Queryable, query: PageQuery) => db.baseModel.findMany(pageArguments(query)),

  /** Changes settings of a base model. A setting given as null is removed; a setting left out keeps its value. */
  setSettings: (
    tx: Queryable,
    id: string,
    settings: Partial<Record<'policy' | 'servingProfile', Prisma.InputJsonObject | null>>,
  ) => {
    const given = Object.entries(settings).filter(([, value]) => value !== undefined);
    const data = Object.fromEntries(given.map(([name, value]) => [name, value ?? Prisma.DbNull]));
    return tx.baseModel.update({ where: { id }, data });
  },

  /** Locks a base model until the transaction ends, so that no other transaction adds a base model version to it. */
  lockModel: (tx: Queryable, id: string) => tx.$executeRaw`SELECT 1 FROM base_models WHERE id = ${id} FOR UPDATE`,

  countVersions: (db: Queryable, baseModelId: string) => db.baseModelVersion.count({ where: { baseModelId } }),

  async insertVersion(tx: Queryable, { pinned, sealedToken, ...version }: NewBaseModelVersion) {
    const source = pinned === null ? {} : { ...columnsOf(pinned), sourceConfig: version.config };
    if (pinned?.source.kind === 'upload') await keepUpload(pinned.source, tx);
    const token = sealedToken === null ? {} : { sourceToken: { create: { sealed: sealedToken } } };
    try {
      return await tx.baseModelVersion.create({ data: { ...version, ...source, ...token }, ...withModel });
    } catch (error) {
      if (isUniqueViolation(error)) {
        throw conflict('base_model_version_exists', `the base model already has a version ${version.version}`);
      }
      throw error;
    }
  },

  /** Locks a base model version until the transaction ends, so that no other transaction changes it. */
  lockVersion: (tx: Queryable, id: string) =>
    tx.$executeRaw`SELECT 1 FROM base_model_versions WHERE id = ${id} FOR NO KEY UPDATE`,

  setRetirement: (tx: Queryable, id: string, retiresAt: Date | null) =>
    tx.baseModelVersion.update({ where: { id }, data: { retiresAt }, ...withModel }),

  pageVersions: (db: Queryable, baseModelId: string, query: PageQuery) => {
    const { where, ...rest } = pageArguments(query);
    return db.baseModelVersion.findMany({ ...rest, where: { ...where, baseModelId }, ...withModel });
  },
};

function columnsOf({ source, files, key }: PinnedFiles & { key: string }) {
  return {
    source: source as unknown as Prisma.InputJsonObject,
    sourceFiles: files as unknown as Prisma.InputJsonArray,
    sourceKey: key,
    ...(source.kind === 'upload' && { uploadId: source.id }),
  };
}

/**
 * Removes the expiry date of an upload, because a base model version is made of its files.
 * @throws AppError 422 `source_not_found` if the upload was removed meanwhile
 */
async function keepUpload(source: UploadSource, tx: Queryable): Promise<void> {
  const { count } = await tx.baseModelUpload.updateMany({
    where: { id: source.id, state: 'complete' },
    data: { expiresAt: null },
  });
  if (count === 0) throw unprocessable('source_not_found', `there is no ${sourceText(source)} any more`);
}
