import type { Random } from '../../../core/statistics/random.ts';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import { createBaseModelVersion } from '../../../openapi/clients/typescript/src/index.ts';
import { OPTIONS } from './fleet.ts';
import { until, type FaultStack } from './stack.ts';

/** Posts a newer version of the round's base model. Its rollout in two waves takes adapters from the running one. */
export async function postNewerVersion(stack: FaultStack, random: Random): Promise<void> {
  const { db, family } = stack;
  const supersede = random.uniform() < 0.5 ? ('finish' as const) : ('stop' as const);
  const client = retryingClient(stack.origin, stack.operatorKey);
  let next: { modelId: string; number: number } | undefined;
  await until('a newer version is posted', async () => {
    // Decided once, because the answer to a successful post may have been lost.
    next ??= await nextVersion(db);
    const { modelId, number } = next;
    const isThere = await db.baseModelVersion.count({ where: { baseModelId: modelId, version: String(number) } });
    if (isThere > 0) return true;
    // Versions alternate between the weights of the first and the second.
    const path = number % 2 === 0 ? family.newBase : family.oldBase;
    const rollout = { ...OPTIONS, policy: { waves: [{ count: 2 }], supersede } };
    await createBaseModelVersion({
      client,
      path: { model: modelId },
      body: { version: String(number), path, rollout },
    });
    return true;
  });
}

/** Next version number of the newest base model. */
async function nextVersion(db: FaultStack['db']): Promise<{ modelId: string; number: number }> {
  const { id, versions } = await db.baseModel.findFirstOrThrow({
    orderBy: { id: 'desc' },
    include: { versions: true },
  });
  return { modelId: id, number: versions.length + 1 };
}

/** Rollouts of the same base model, oldest first. */
export async function rolloutsBeside({ db }: Pick<FaultStack, 'db'>, rolloutId: string) {
  const { baseModelVersion } = await db.rollout.findUniqueOrThrow({
    where: { id: rolloutId },
    include: { baseModelVersion: true },
  });
  return db.rollout.findMany({
    where: { baseModelVersion: { baseModelId: baseModelVersion.baseModelId } },
    orderBy: { id: 'asc' },
  });
}
