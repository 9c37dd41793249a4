import type { Random } from '../../../core/statistics/random.ts';
import { patientClient } from '../../../cli/demo/register-fleet.ts';
import { createBaseModelVersion } from '../../../openapi/clients/typescript/src/index.ts';
import { OPTIONS } from './fleet.ts';
import { until, type FaultStack } from './stack.ts';

/** Posts a newer version of the round's base model, whose rollout in two waves takes adapters from the one that goes on. */
export async function postNewerVersion(stack: FaultStack, random: Random): Promise<void> {
  const { db, family } = stack;
  const supersede = random.uniform() < 0.5 ? ('finish' as const) : ('stop' as const);
  const model = await db.baseModel.findFirstOrThrow({ orderBy: { id: 'desc' }, include: { versions: true } });
  const number = model.versions.length + 1;
  // Versions take turns between the weights of the first and of the second.
  const path = number % 2 === 0 ? family.newBase : family.oldBase;
  const rollout = { ...OPTIONS, policy: { waves: [{ count: 2 }], supersede } };
  const body = { version: String(number), path, rollout };
  await until('a newer version is posted', async () => {
    // The answer of one that was posted may have been lost.
    const isThere = await db.baseModelVersion.count({ where: { baseModelId: model.id, version: String(number) } });
    const client = patientClient(stack.origin, stack.operatorKey);
    if (isThere === 0) await createBaseModelVersion({ client, path: { model: model.id }, body });
    return true;
  });
}

/** The rollouts of the base model of a rollout, the oldest first. */
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
