export { createQueueBackend, type QueueBackend } from './backend.ts';
export { CATALOG, QUEUES, type JobEntry, type JobName, type QueueName } from './catalog.ts';
export {
  combineHandlers,
  PermanentError,
  startConsumer,
  TryLaterError,
  type Consumer,
  type HandlerContext,
  type HandlerSet,
} from './consumer.ts';
export { writeOutbox } from './outbox.repository.ts';
export { createJobProducer, type JobProducer } from './producer.ts';
export { createSweeper, type RecoverySource, type Sweeper } from './sweeper.ts';
