export { createApprovalAsker } from './approvals/approval-asker.ts';
export { createApprovalCheck } from './approvals/approval-check.ts';
export { followInBatches } from './pausing/pausing.ts';
export { assignWaves, labelsOfWaves, sizesOfWaves } from './waves/assign-waves.ts';
export { countLeftOut, countSourcesByTenant, fleetOf, rankAdapters, type Refusals } from './planning/planning.ts';
export { LEFT_OUT_REASONS, type FleetToPlan, type SourceCount } from './planning/planning.repository.ts';
export { createRolloutLifecycle, type RolloutLifecycle } from './rollout-lifecycle.ts';
export { SPEEDUP, type RolloutRow } from './rollout.repository.ts';
export { CreateRollout, Rollout, RolloutOptions, RolloutStateName, type StoredOptions } from './rollout.schemas.ts';
export {
  createRollout,
  createRolloutService,
  optionsOf,
  rolloutRecoverySource,
  type RolloutService,
} from './rollout.service.ts';
export { LIVE_ROLLOUT_STATES } from './rollout.states.ts';
export {
  beginProvision,
  endProvision,
  excuseProvision,
  loadProvision,
  provisionalRecoverySource,
  standingOfProvision,
} from './provisional/provisional.ts';
export type { LoadedProvision } from './provisional/provisional.repository.ts';
export { countJobsToEnd, type JobsToEnd } from './succession/jobs-to-end.repository.ts';
export { releaseAfter } from './succession/waiting.ts';
export { inOrder, lockStartTags, queueJobs } from './order/admission.ts';
export {
  bringForward,
  exchangeStartTags,
  nextJobOfPair,
  withEarlierDeadline,
  type BasePair,
} from './order/exchange.repository.ts';
export { heldBack } from './order/held-back.ts';
export { jobRecoverySource } from './order/job-recovery.ts';
export { IS_LIMITED, startTagsOf } from './order/start-tags.ts';
export { isWaiting, keepPaused, pauseJobs, resumeJobs } from './pausing/pause-jobs.ts';
export { RolloutPolicy, withoutAddress } from './policy.schemas.ts';
export { changeAndSettle, lockAndSettle, lockRollout, settleRollout } from './settlement.ts';
export type { RunningJobs } from './succession/job-succession.repository.ts';
