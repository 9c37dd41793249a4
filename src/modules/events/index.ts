export {
  FIRST_RUNNING,
  formatPosition,
  isPosition,
  parsePosition,
  POSITION_PATTERN,
  requireReached,
  type CommitPosition,
} from './commit-position.ts';
export { createEventRepository, recordEvent, recordEvents, type NewEvent } from './event.repository.ts';
