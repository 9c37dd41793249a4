export { adviceOf } from './advice.ts';
export { RolloutEvolution } from './evolution.schemas.ts';
