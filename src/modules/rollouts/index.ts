export { createRolloutLifecycle, type RolloutLifecycle } from './rollout-lifecycle.ts';
export type { RolloutRow, SourceRow } from './rollout.repository.ts';
export { Rollout, RolloutOptions, type StoredOptions } from './rollout.schemas.ts';
export { createRollout, createRolloutService, rolloutRecoverySource } from './rollout.service.ts';
