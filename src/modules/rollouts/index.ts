export { followInBatches } from './control/pausing.ts';
export { waveEnds } from './control/wave-sizes.ts';
export { fleetOf, type Refusals } from './planning.ts';
export { planningRepository, type FleetToPlan, type SourceCount } from './planning.repository.ts';
export { createRolloutLifecycle, type RolloutLifecycle } from './rollout-lifecycle.ts';
export type { RolloutRow } from './rollout.repository.ts';
export { CreateRollout, Rollout, RolloutOptions, type StoredOptions } from './rollout.schemas.ts';
export { createRollout, createRolloutService, optionsOf, rolloutRecoverySource } from './rollout.service.ts';
export { TERMINAL_ROLLOUT_STATES } from './rollout.states.ts';
