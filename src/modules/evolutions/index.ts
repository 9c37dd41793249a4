export { adviceOf, type StoredDifference } from './advice.ts';
export { EvolutionAdvice, RolloutEvolution } from './evolution.schemas.ts';
