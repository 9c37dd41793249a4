export { checkReadiness, type Readiness, type ReadinessChecks } from './health.service.ts';
