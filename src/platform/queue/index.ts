export { createQueueBackend, type QueueBackend } from './backend.ts';
export { QUEUES, UPLOAD_VERIFICATION, type QueueEntry } from './catalog.ts';
export {
  combineHandlers,
  LOCK_MS,
  startConsumer,
  type Consumer,
  type ConsumerObserver,
  type HandlerContext,
  type Handlers,
  type HandlerSet,
} from './consumer.ts';
export { writeOutbox } from './outbox.repository.ts';
export { priorityOf } from './priorities.ts';
export { createQueueProducer, type QueueProducer } from './producer.ts';
export type { QuarantineOptions } from './quarantine.ts';
export { ensureLease, giveUpLease, holdLease, renewLease, type ProcessLease } from './process-lease.repository.ts';
export {
  attemptEnd,
  limitStarts,
  PermanentError,
  TryLaterError,
  WorkerFaultError,
  type AttemptContext,
} from './retry-policy.ts';
export { createSweeper, type RecoverySource } from './sweeper.ts';
