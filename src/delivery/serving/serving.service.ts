import type { Database } from '../../platform/database/database.ts';
import { parseEngineName } from './engine-name.ts';
import { AppError, conflict, notFound, unprocessable } from '../../platform/contract/errors.ts';
import { encodeCursor } from '../../platform/contract/pagination.ts';
import { NAME_PATTERN } from '../../platform/contract/schemas.ts';
import { findBaseModelVersion } from '../../fleet/base-models/index.ts';
import {
  formatPosition,
  nextTransaction,
  parsePosition,
  requireReached,
  type CommitPosition,
} from '../events/index.ts';
import { toServedVersion } from './served-version.mapper.ts';
import { servedVersionRepository as repository, type ChangedRow, type FoundRow } from './served-version.repository.ts';
import type { CurrentOfBase, CurrentOfBaseQuery, ResolveNameQuery, ServedVersion } from './serving.schemas.ts';

const NAME = new RegExp(NAME_PATTERN);

/**
 * Creates the service for served versions. `scope` is the tenant to which the caller is confined, or null for the
 * operator.
 */
export function createServingService({ db }: { db: Database }) {
  async function changes(id: string, query: CurrentOfBaseQuery, after: string, scope: string | null) {
    if (query.cursor !== undefined) {
      const message = 'cursor and changed_after cannot be combined: pass next_changed_after as changed_after';
      throw new AppError({ code: 'invalid_cursor', status: 400, message });
    }
    const [position, limit] = [parsePosition(after), query.limit ?? 50];
    const rows = await repository.changes(db, id, { after: position, limit }, scope);
    const last: (ChangedRow & CommitPosition) | undefined = rows.at(-1);
    if (last === undefined) {
      await requireBase(id);
      requireReached(after, position, await nextTransaction(db));
    }
    return {
      data: rows.flatMap((row) => (row.versionId === null ? [] : toServedVersion(row, scope))),
      removed: rows.flatMap((row) => (row.versionId === null ? row.adapterId : [])),
      next_cursor: null,
      next_changed_after: last === undefined ? after : formatPosition(last),
    };
  }

  /** Requires that a base model version exists. @throws AppError 404 */
  async function requireBase(id: string): Promise<void> {
    if ((await findBaseModelVersion(db, id)) === null) throw notFound('base model version', id);
  }

  return {
    /**
     * Finds the current version of an adapter on a base model version.
     * @throws AppError 404 if the adapter or the base model version does not exist, or with `no_current_version` if no
     * version of the adapter is current on the base model version
     */
    async resolve(adapterId: string, baseModelVersionId: string, scope: string | null): Promise<ServedVersion> {
      const wanted = { adapter: { id: adapterId }, base: { id: baseModelVersionId } };
      const [found] = await repository.find(db, wanted, scope);
      return served(found, { adapter: adapterId, base: baseModelVersionId }, scope);
    },

    /**
     * Finds the adapter version that an engine knows by a name, on the base that the query names. A name with a number
     * refers to the version with this number; if that version is not for the base or is deleted, the current version is
     * returned.
     *
     * @throws AppError 400 `invalid_request` if the query names no base, 404 if the adapter or the base does not exist,
     * or with `no_current_version` if no version is current on the base, 409 `ambiguous_serving_name`, 422
     * `serving_name_mismatch`
     */
    async resolveName(query: ResolveNameQuery, scope: string | null): Promise<ServedVersion> {
      const base = baseOf(query);
      const name = parseEngineName(query.name);
      // No adapter has any other name, and PostgreSQL rejects some texts.
      if (name === null || !NAME.test(name.tenant) || !NAME.test(name.adapter)) throw notFound('adapter', query.name);
      const rows = await repository.find(db, { adapter: name, base, number: name.number }, scope);
      if (rows.length > 1) throw ambiguous(query);
      const answer = served(
        rows[0],
        { adapter: query.name, base: query.base_model_version ?? query.serving_name! },
        scope,
      );
      if (query.serving_name !== undefined && rows[0]?.servingName !== query.serving_name) throw mismatch(query, scope);
      return answer;
    },

    /**
     * Lists the current versions of adapters on a base model version, or the changes after a position if the query has
     * one.
     * @throws AppError 400 `invalid_cursor`, 404 if there is no such base model version
     */
    async listCurrent(id: string, query: CurrentOfBaseQuery, scope: string | null): Promise<CurrentOfBase> {
      if (query.changed_after !== undefined) return changes(id, query, query.changed_after, scope);
      const rows = await repository.page(db, id, query, scope);
      if (rows.length === 0) await requireBase(id);
      const page = rows.slice(0, query.limit ?? 50);
      const last = page.at(-1);
      return {
        data: page.map((row) => toServedVersion(row, scope)),
        removed: [],
        next_cursor: rows.length > page.length && last !== undefined ? encodeCursor(last.adapterId) : null,
        next_changed_after: null,
      };
    },
  };
}

/** Reads which base model version a request names. @throws AppError 400 `invalid_request` if it names none */
function baseOf({ base_model_version: id, serving_name: servingName }: ResolveNameQuery) {
  if (id !== undefined) return { id };
  if (servingName !== undefined) return { servingName };
  const message = 'query: serving_name and base_model_version are missing, expected one of them or both';
  throw new AppError({ code: 'invalid_request', status: 400, message });
}

/**
 * Converts the row that was found for a request to the answer.
 * @throws AppError 404 if the adapter or the base model version does not exist, or with `no_current_version` if no
 * version of the adapter is current on the base model version
 */
function served(
  row: FoundRow | undefined,
  asked: { adapter: string; base: string },
  scope: string | null,
): ServedVersion {
  if (row === undefined) throw notFound('adapter', asked.adapter);
  if (row.baseModelVersionId === null) throw notFound('base model version', asked.base);
  if (row.versionId !== null) return toServedVersion(row, scope);
  throw new AppError({
    code: 'no_current_version',
    status: 404,
    message:
      `no version of adapter ${asked.adapter} is current on base model version ` +
      `${row.baseModelVersionId}, so none is to be served there`,
  });
}

function ambiguous({ serving_name: name }: ResolveNameQuery): AppError {
  const message = `several versions of the base model have the serving_name ${name}: name one by base_model_version`;
  return conflict('ambiguous_serving_name', message);
}

function mismatch(query: ResolveNameQuery, scope: string | null): AppError {
  const whose = scope === null ? `base model version ${query.base_model_version}` : 'the base model version';
  const message = `${whose} has another serving_name than ${query.serving_name}: name the one that the engine serves`;
  return unprocessable('serving_name_mismatch', message);
}
