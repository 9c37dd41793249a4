export { createApprovalAsker } from './approvals/approval-asker.ts';
export { createApprovalCheck } from './approvals/approval-check.ts';
export { followInBatches } from './control/pausing.ts';
export { assignWaves, labelsOfWaves, sizesOfWaves } from './control/assign-waves.ts';
export { fleetOf, type Refusals } from './planning.ts';
export { LEFT_OUT_REASONS, planningRepository, type FleetToPlan, type SourceCount } from './planning.repository.ts';
export { createRolloutLifecycle, type RolloutLifecycle } from './rollout-lifecycle.ts';
export { SPEEDUP, type RolloutRow } from './rollout.repository.ts';
export {
  CreateRollout,
  EvolutionAdvice,
  Rollout,
  RolloutOptions,
  RolloutStateName,
  type StoredOptions,
} from './rollout.schemas.ts';
export { createRollout, createRolloutService, optionsOf, rolloutRecoverySource } from './rollout.service.ts';
export { LIVE_ROLLOUT_STATES } from './rollout.states.ts';
export { provisionalRecoverySource } from './provisional/provisional.ts';
export { provisionalRepository, type LoadedProvision } from './provisional/provisional.repository.ts';
export { releaseAfter } from './succession/waiting.ts';
