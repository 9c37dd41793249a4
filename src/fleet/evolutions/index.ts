export { adviceOf } from './advice.ts';
export { EvolutionAdvice, RolloutEvolution } from './evolution.schemas.ts';
