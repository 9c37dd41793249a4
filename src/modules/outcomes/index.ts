export { keepOutcomes } from './gate-outcomes.repository.ts';
export { outcomeRequestRepository, type ClaimedRequest, type MeasurementLease } from './outcome-request.repository.ts';
export {
  createOutcomeRequests,
  outcomesRecoverySource,
  requestOutcomes,
  type MeasuredVersion,
  type OutcomeRequests,
} from './outcome-requests.ts';
