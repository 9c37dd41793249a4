export {
  checkReadiness,
  storeWarnings,
  type Readiness,
  type ReadinessChecks,
  type ReadinessWarnings,
} from './health.service.ts';
