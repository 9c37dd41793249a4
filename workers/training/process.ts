/**
 * The training process: forked by a worker, one a device, kept between jobs with base models and compiled graphs warm.
 * It serves one request at a time and ends when its parent does. BaseCache options come as JSON in its first argument.
 */
import { constants, getPriority, setPriority } from 'node:os';
import type { ChildMessage, ParentMessage } from './protocol.ts';
import { RequestServer } from './request-server.ts';
import { BaseCache, type LoadedBase, type BaseCacheOptions } from '../../core/engine/base-cache.ts';

if (!process.send) throw new Error('the training process has no parent: fork it with an IPC channel');

const options = JSON.parse(process.argv[2] ?? '{}') as BaseCacheOptions;
const onLoad = ({ folder, precision: { precision, reason } }: LoadedBase): void =>
  send({ type: 'loaded', folder, precision, reason });
const server = new RequestServer(new BaseCache({ ...options, onLoad }), send);
process.on('message', (message) => void server.receive(message as ParentMessage));
process.on('disconnect', () => process.exit(0));
// A Ctrl-C at a terminal reaches the whole group; the parent decides what becomes of running jobs.
process.on('SIGINT', () => undefined);
// The API and the database come first; training takes what is left. A process that is nicer already may not come back.
if (getPriority() < constants.priority.PRIORITY_BELOW_NORMAL) setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
send({ type: 'online' });

/** The parent may be gone; 'disconnect' then ends the process. */
function send(message: ChildMessage): void {
  if (process.connected) process.send!(message);
}
