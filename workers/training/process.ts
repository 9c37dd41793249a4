/**
 * Entry point of the training process. A worker forks one for its device and keeps it between jobs, with base models
 * and compiled graphs loaded. It serves one request at a time and ends when its worker does. Its options come as JSON
 * in its first argument.
 */
import { constants, getPriority, setPriority } from 'node:os';
import { BaseCache, type LoadedBase } from '../../core/engine/base-cache.ts';
import { availableMemory } from '../../core/engine/memory/process-memory.ts';
import { packageVersion } from '../../core/installation/package-path.ts';
import { SETTINGS } from '../../src/platform/config/settings.ts';
import { startTracing } from '../../src/platform/tracing/tracing.ts';
import type { ProcessOptions, TrainingMessage, WorkerMessage } from './protocol.ts';
import { RequestServer } from './request-server.ts';

if (!process.send) throw new Error('the training process has no parent: fork it with an IPC channel');

const { memoryBytes = null, ...options } = JSON.parse(process.argv[2] ?? '{}') as ProcessOptions;
const tracing = await startTracing({
  endpoint: process.env[SETTINGS.otlpEndpoint.variable] || null,
  service: 'readapt-training',
  version: packageVersion(),
});
const onLoad = ({ folder, precision }: LoadedBase): void => {
  send({ type: 'loaded', folder, ...precision });
};
const onRelease = (folder: string): void => send({ type: 'released', folder });
const server = new RequestServer(
  new BaseCache({ ...options, memory: () => availableMemory(memoryBytes), onLoad, onRelease }),
  send,
  tracing,
);
process.on('message', (message) => void server.receive(message as WorkerMessage));
process.on('disconnect', () => process.exit(0));
// Ctrl-C at a terminal reaches the whole process group; the worker decides how running jobs end.
process.on('SIGINT', () => undefined);
// The API and the database have precedence. A process that already has a lower priority may not raise it again.
if (getPriority() < constants.priority.PRIORITY_BELOW_NORMAL) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
send({ type: 'online' });

/** Sends a message to the worker, if it is still connected. Otherwise 'disconnect' ends the process. */
function send(message: TrainingMessage): void {
  if (process.connected) process.send!(message);
}
