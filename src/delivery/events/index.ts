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
export { EventTypeName } from './event.schemas.ts';
export { EVENT_CATALOG, type EventData, type EventType } from './catalog/catalog.ts';
export {
  eventsAfter,
  nextTransaction,
  recordEvent,
  recordEvents,
  type EventRow,
  type NewEvent,
} from './event.repository.ts';
export type { Event } from './event.schemas.ts';
export { createEventService, toEvent, type EventService } from './event.service.ts';
export { recordRolloutEnd } from './rollout-end.repository.ts';
export { prunedUpTo, pruneLog, type CommitLog } from './retention.repository.ts';
export {
  createEventStreams,
  type EventStreams,
  type StreamedEvents,
  type StreamReader,
} from './stream/event-streams.ts';
