export { followInBatches } from './control/pausing.ts';
export { createRolloutLifecycle, type RolloutLifecycle } from './rollout-lifecycle.ts';
export type { RolloutRow } from './rollout.repository.ts';
export { Rollout, RolloutOptions, type StoredOptions } from './rollout.schemas.ts';
export { createRollout, createRolloutService, rolloutRecoverySource } from './rollout.service.ts';
export { TERMINAL_ROLLOUT_STATES } from './rollout.states.ts';
export { provisionalRecoverySource } from './provisional/provisional.ts';
export { provisionalRepository, type LoadedProvision } from './provisional/provisional.repository.ts';
export { releaseAfter } from './succession/waiting.ts';
