import Type, { type Static } from 'typebox';
import { Id, Nullable, Timestamp } from '../../platform/contract/schemas.ts';

export const RolloutRollback = Type.Object(
  {
    rollout_id: Id('rollout'),
    rolled_back: Type.Integer({
      description: 'Adapters for which the version before the rollout is current again, or none.',
    }),
    left_alone: Type.Integer({
      description:
        'Adapters for which the rollout has published, and something else was current by the time of the rollback.',
    }),
    requested_at: Timestamp,
    finished_at: Nullable(Timestamp),
  },
  {
    title: 'RolloutRollback',
    description:
      'How far the rollback of a rollout is: for each adapter, what was current before it is current again. The ' +
      "counts are of the adapters that the caller may see: a tenant's own, or all.",
  },
);
export type RolloutRollback = Static<typeof RolloutRollback>;

export const RollbackParams = Type.Object({ id: Id('rollout') });
