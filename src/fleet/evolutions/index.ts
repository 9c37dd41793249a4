export { adviceOf } from './evolution.mapper.ts';
export { EvolutionAdvice, RolloutEvolution } from './evolution.schemas.ts';
