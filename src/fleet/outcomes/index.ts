export { keepOutcomes, storedOutcomes } from './gate-outcomes.repository.ts';
export type { ClaimedRequest } from './outcome-request.repository.ts';
export {
  createOutcomeRequests,
  isRolloutWaiting,
  outcomesRecoverySource,
  requestOutcomes,
  withdrawOutcomeRequest,
  type OutcomeRequests,
} from './outcome-requests.ts';
