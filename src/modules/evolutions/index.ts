export { adviceOf, type StoredDifference } from './advice.ts';
export { RolloutEvolution } from './evolution.schemas.ts';
