import { withTransaction, type Database } from '../../../platform/database/database.ts';
import type { RolloutService } from '../../rollouts/index.ts';
import { speedupOf } from '../report.mapper.ts';
import { reportRepository } from '../report.repository.ts';
import { distributionRepository as repository, type DistributionRow } from './distribution.repository.ts';
import type { Times, TtrDistribution } from './distribution.schemas.ts';

interface DistributionDependencies {
  readonly db: Database;
  readonly rollouts: Pick<RolloutService, 'get'>;
}

/**
 * Reads the distribution of a rollout's times to readiness, from which a chart is drawn.
 * @param scope the tenant to which the caller is confined, or null for the operator
 * @throws AppError 404 if there is no such rollout
 */
export async function ttrDistribution(
  { db, rollouts }: DistributionDependencies,
  id: string,
  scope: string | null,
): Promise<TtrDistribution> {
  const { jobs, controls } = await rollouts.get(id, scope);
  return withTransaction(db, async (tx) => {
    const rows = await repository.times(tx, id, scope);
    const speedup = await reportRepository.speedup(tx, { rolloutIds: [id], tenantId: scope });
    return {
      rollout_id: id,
      adaptations: timesOf(rows, 'adaptation', jobs),
      controls: timesOf(rows, 'control', controls),
      speedup: speedupOf(speedup),
    };
  });
}

function timesOf(
  rows: readonly DistributionRow[],
  kind: DistributionRow['kind'],
  counts: Readonly<Record<string, number>>,
): Times {
  const found = (measure: DistributionRow['measure']) =>
    rows.find((row) => row.kind === kind && row.measure === measure);
  return {
    jobs: Object.values(counts).reduce((sum, count) => sum + count, 0),
    ready: found('ttr')?.ready ?? 0,
    ttr_ms: found('ttr')?.values ?? [],
    working_ms: found('working')?.values ?? [],
  };
}
