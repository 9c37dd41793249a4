export { recordEvent, recordEvents, type NewEvent } from './event.repository.ts';
