import type { RolloutOptions } from '../../../../src/fleet/rollouts/index.ts';
import { createAnalyzed, createFleet } from '../fleet.ts';
import type { BenchStack } from '../stack.ts';

/**
 * Plans a rollout of a new fleet and ends all its jobs but the first `open` ones, by SQL statements in place of
 * workers. Nine of ten are ready with a published version, the others are not ready.
 * @returns the id of the rollout
 */
export async function createEndedFleet(
  stack: BenchStack,
  { adapters, open, options = {} }: { adapters: number; open: number; options?: RolloutOptions },
): Promise<string> {
  const { newVersionId } = await createFleet(stack.db, adapters);
  const { lifecycle, request } = await createAnalyzed(stack.db, newVersionId, options);
  await lifecycle.plan(request, new Map());
  const { id } = request;
  const numbered = `SELECT id, adapter_id, tenant_id, n FROM (
    SELECT id, adapter_id, tenant_id, row_number() OVER (ORDER BY id) AS n FROM jobs WHERE rollout_id = '${id}'
  ) AS j WHERE n > ${open}`;
  const statements = [
    `INSERT INTO adapter_versions
       (id, tenant_id, adapter_id, base_model_version_id, number, origin, artifact_digest, rank, lora_alpha, job_id,
        metrics)
     SELECT 'adv_' || substr(id, 5), tenant_id, adapter_id, '${newVersionId}', 2, 'adapted', 'none', 8, 16, id,
       '{"negative_flips": 0.01}'
     FROM (${numbered}) AS ended WHERE n % 10 > 0`,
    `UPDATE jobs j SET state = CASE WHEN n % 10 > 0 THEN 'ready' ELSE 'not_ready' END::job_state, won_strategy = 'copy',
       ttr_ms = CASE WHEN n % 10 > 0 THEN 1000 + n * 7919 % 600000 END, metric_old = 0.9, metric_best = 0.89,
       queue_wait_ms = 1000 + n * 7919 % 600000, finished_at = clock_timestamp()
     FROM (${numbered}) AS ended WHERE j.id = ended.id`,
    'VACUUM ANALYZE',
  ];
  for (const statement of statements) await stack.db.$executeRawUnsafe(statement);
  return id;
}
