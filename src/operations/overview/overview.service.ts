import type { Database } from '../../platform/database/database.ts';
import { notFound } from '../../platform/contract/errors.ts';
import { TtlCache } from '../../lib/ttl-cache.ts';
import { isAdmitted, type Principal } from '../../platform/contract/principal.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import { attentionRepository, type AttentionRow } from './attention.repository.ts';
import type { Attention, AttentionEntry } from './attention.schemas.ts';
import { fleetOverviewRepository } from './fleet.repository.ts';
import type { Fleet } from './fleet.schemas.ts';

/**
 * Creates the service for the overviews that dashboards poll. An overview is cached briefly for all callers who may see
 * the same.
 */
export function createOverviewService() {
  const fleets = new TtlCache<Fleet>();
  const attentions = new TtlCache<Attention>();
  return {
    /**
     * Counts the adapters of a base model on each of its versions.
     * @param scope the tenant to which the caller is confined, or null for the operator
     * @throws AppError 404
     */
    fleet: (db: Database, reference: string, scope: string | null): Promise<Fleet> =>
      fleets.get(`${scope ?? ''} ${reference}`, () => countFleet(db, reference, scope)),

    attention(db: Database, principal: Principal): Promise<Attention> {
      const scope = principal.kind === 'tenant' ? principal.tenantId : null;
      // Callers who may not see the endpoints get no entries about them.
      const seesEndpoints = isAdmitted(principal, 'tenant:admin', true);
      return attentions.get(`${scope ?? ''} ${seesEndpoints}`, () => findAttention(db, { scope, seesEndpoints }));
    },
  };
}

async function countFleet(db: Database, reference: string, scope: string | null): Promise<Fleet> {
  const model = await fleetOverviewRepository.baseModel(db, reference);
  if (model === null) throw notFound('base model', reference);
  const versions = await fleetOverviewRepository.shares(db, model.id, scope);
  const { adapters, unserved } = await fleetOverviewRepository.adapters(db, model.id, scope);
  return {
    base_model_id: model.id,
    base_model_name: model.name,
    adapters,
    unserved,
    versions: versions.map(({ id, version, retires_at, current, newest, provisional }) => {
      return { base_model_version_id: id, version, retires_at: toTimestamp(retires_at), current, newest, provisional };
    }),
  };
}

async function findAttention(
  db: Database,
  { scope, seesEndpoints }: { scope: string | null; seesEndpoints: boolean },
): Promise<Attention> {
  const rows: AttentionRow[] = [];
  // A tenant sees only entries on which it can act.
  if (scope === null)
    rows.push(...(await attentionRepository.rollouts(db)), ...(await attentionRepository.workers(db)));
  rows.push(...(await attentionRepository.approvals(db, scope)));
  if (seesEndpoints) rows.push(...(await attentionRepository.endpoints(db, scope)));
  rows.push(...(await attentionRepository.retirements(db, scope)));
  const data = rows.map(toEntry).sort((a, b) => ((a.since ?? '') < (b.since ?? '') ? -1 : 1));
  return { data, counts: Object.fromEntries(rows.map((row) => [row.kind, row.of_kind])) };
}

function toEntry({ kind, subject_id, name, tenant_id, since, count, reason }: AttentionRow): AttentionEntry {
  return { kind, subject_id, name, tenant_id, since: toTimestamp(since), count, reason };
}
