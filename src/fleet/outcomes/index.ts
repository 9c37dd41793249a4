export { keepOutcomes } from './gate-outcomes.repository.ts';
export { outcomeRequestRepository, type ClaimedRequest } from './outcome-request.repository.ts';
export {
  createOutcomeRequests,
  outcomesRecoverySource,
  requestOutcomes,
  type OutcomeRequests,
} from './outcome-requests.ts';
