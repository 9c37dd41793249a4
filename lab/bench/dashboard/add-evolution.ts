import type { Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';

/** Shape of a model of 7 billion parameters. */
const LAYERS = 32;
const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
const RANK = 16;

/** Inserts the evolution that an analysis of the rollout would have stored. @returns the id of the rollout's version */
export async function addEvolution(db: Database, rolloutId: string): Promise<string> {
  const { baseModelVersionId } = await db.rollout.findUniqueOrThrow({ where: { id: rolloutId } });
  const { baseModelId } = await db.baseModelVersion.findUniqueOrThrow({ where: { id: baseModelVersionId } });
  const old = await db.baseModelVersion.findFirstOrThrow({ where: { baseModelId, id: { not: baseModelVersionId } } });
  const names = Array.from({ length: LAYERS }, (_, layer) => PROJECTIONS.map((name) => `layers.${layer}.${name}`));
  const modules = names.flat().map((name, index) => [name, driftOf(index)] as const);
  const energy = Array.from({ length: RANK }, (_, index) => ({ rank: index + 1, share: (index + 1) / RANK }));
  await db.evolution.create({
    data: {
      id: newId('evolution'),
      oldBaseModelVersionId: old.id,
      newBaseModelVersionId: baseModelVersionId,
      state: 'ready',
      rank: RANK,
      drift: 0.1,
      summary: { overall_drift: 0.1, modules: Object.fromEntries(modules), captured_energy_by_rank: energy },
    },
  });
  return baseModelVersionId;
}

function driftOf(index: number) {
  return { drift: (index % 40) / 200, rank: RANK, captured_energy: 0.5 + (index % 10) / 20 };
}
