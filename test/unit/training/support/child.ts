import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { compiledModule } from '../../../compiled/index.ts';
import type { JobEvent } from '../../../../core/adaptation/job-events.ts';
import type {
  FinalMessage,
  ProcessOptions,
  Request,
  TrainingMessage,
  WorkerMessage,
} from '../../../../workers/training/protocol.ts';

const ENTRY = path.join(import.meta.dirname, '../../../../workers/training/process.ts');

/** Returns the events among messages, in order. */
export function eventsOf(messages: readonly TrainingMessage[]): JobEvent[] {
  return messages.flatMap((message) => (message.type === 'event' ? [message.event] : []));
}

/** Real training process. It acknowledges publications at once, unless `acknowledge` is false. */
export class Child {
  readonly messages: TrainingMessage[] = [];
  acknowledge = true;
  readonly #process: ChildProcess;
  readonly #listeners = new Set<(message: TrainingMessage) => void>();

  /**
   * @param entry script of the process
   * @param options of the process (default: one thread)
   */
  constructor(entry = ENTRY, options: ProcessOptions = {}) {
    this.#process = fork(compiledModule(entry), [JSON.stringify({ threads: 1, ...options })], { execArgv: [] });
    this.#process.on('message', (raw) => {
      const message = raw as TrainingMessage;
      this.messages.push(message);
      if (message.type === 'event' && message.event.type === 'publication' && this.acknowledge) {
        this.send({ type: 'published', requestId: message.requestId, number: message.event.number });
      }
      for (const listener of this.#listeners) listener(message);
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Returns the events of a type, in order. */
  events<T extends JobEvent['type']>(type: T): Extract<JobEvent, { type: T }>[] {
    return eventsOf(this.messages).filter((event): event is Extract<JobEvent, { type: T }> => event.type === type);
  }

  /** Waits for the next event of a type that `fits` accepts; rejects if the process ends first. */
  async waitForEvent<T extends JobEvent['type']>(
    type: T,
    fits: (event: Extract<JobEvent, { type: T }>) => boolean = () => true,
  ): Promise<Extract<JobEvent, { type: T }>> {
    type Wanted = Extract<JobEvent, { type: T }>;
    const message = await this.waitFor(
      (found) => found.type === 'event' && found.event.type === type && fits(found.event as Wanted),
    );
    return (message as unknown as { event: Wanted }).event;
  }

  /** Forgets all messages so far. */
  reset(): void {
    this.messages.length = 0;
    this.acknowledge = true;
  }

  send(message: WorkerMessage): void {
    this.#process.send(message);
  }

  /** Waits for the next message that `fits` accepts; rejects if the process ends first. */
  waitFor(fits: (message: TrainingMessage) => boolean): Promise<TrainingMessage> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the training process ended'));
      const listener = (message: TrainingMessage): void => {
        if (!fits(message)) return;
        this.#listeners.delete(listener);
        this.#process.off('exit', ended);
        resolve(message);
      };
      this.#listeners.add(listener);
      this.#process.once('exit', ended);
    });
  }

  /** Sends a request and waits for its last message. */
  async request(message: Request): Promise<FinalMessage> {
    const end = this.waitFor(
      (found) => (found.type === 'outcome' || found.type === 'error') && found.requestId === message.requestId,
    );
    this.send(message);
    return (await end) as FinalMessage;
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }

  /** Closes the parent's side of the channel, and returns the exit code of the process. */
  async disconnect(): Promise<number> {
    const exit = once(this.#process, 'exit');
    this.#process.disconnect();
    return (await exit)[0] as number;
  }
}
