import { notFound, unprocessable } from '../../platform/contract/errors.ts';
import type { Queryable } from '../../platform/database/database.ts';
import { findBaseModelVersion, findVersionOfModel } from '../base-models/index.ts';
import { findDataset } from '../datasets/index.ts';
import { findAdapterRow, findAdapterVersion, type AdapterRow, type AdapterVersionRow } from './adapter.repository.ts';

/**
 * Finds an adapter.
 *
 * @param scope the tenant to which the caller is confined; null for the operator
 * @throws AppError 404 if the caller can see no such adapter
 */
export async function requireAdapter(db: Queryable, id: string, scope: string | null): Promise<AdapterRow> {
  const row = await findAdapterRow(db, id, scope);
  if (row === null) throw notFound('adapter', id);
  return row;
}

/**
 * Finds a version of an adapter.
 *
 * @param scope the tenant to which the caller is confined; null for the operator
 * @throws AppError 404 if the caller can see no such version
 */
export async function requireAdapterVersion(
  db: Queryable,
  key: { adapterId: string; id: string },
  scope: string | null,
): Promise<AdapterVersionRow> {
  const row = await findAdapterVersion(db, key, scope);
  if (row === null) throw notFound('adapter version', key.id);
  return row;
}

/** Finds a dataset of a tenant. Returns null if `id` is null. @throws AppError 404 if the tenant has no such dataset */
export async function requireDataset(db: Queryable, id: string | null, owner: string) {
  if (id === null) return null;
  const found = await findDataset(db, id, owner);
  if (found === null) throw notFound('dataset', id);
  return found;
}

/**
 * Finds a version of a base model.
 *
 * @param reference identifier of the base model version, or its version text, such as `2`
 * @throws AppError 422 `base_model_version_not_found`
 */
export async function requireVersionOfModel(db: Queryable, baseModel: { id: string; name: string }, reference: string) {
  const row = await findVersionOfModel(db, baseModel.id, reference);
  if (row !== null) return row;
  const message = `base model ${baseModel.name} has no version ${reference}`;
  throw unprocessable('base_model_version_not_found', message);
}

/**
 * Checks an adapter's pin: the only base model version to which rollouts may carry the adapter. Null and undefined mean
 * no pin, and are accepted.
 *
 * @throws AppError 422 `base_model_version_not_found` if the adapter's base model has no such version
 */
export async function requirePin(
  db: Queryable,
  { baseModelId, pin }: { baseModelId: string; pin: string | null | undefined },
): Promise<void> {
  if (pin === null || pin === undefined) return;
  const found = await findBaseModelVersion(db, pin);
  if (found?.baseModelId === baseModelId) return;
  const message = `base model ${baseModelId} has no version ${pin}: pin the adapter to a version of its own base model`;
  throw unprocessable('base_model_version_not_found', message);
}
