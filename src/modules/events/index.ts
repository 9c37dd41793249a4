export {
  FIRST_RUNNING,
  formatPosition,
  isBefore,
  isPosition,
  parsePosition,
  POSITION_PATTERN,
  requireReached,
  requireRetained,
  type CommitPosition,
} from './commit-position.ts';
export { createEventRepository, recordEvent, recordEvents, type EventRow, type NewEvent } from './event.repository.ts';
export { Event } from './event.schemas.ts';
export { createEventService, toEvent, type EventService } from './event.service.ts';
export { prunedUpTo, pruneLog, type CommitLog } from './retention.repository.ts';
