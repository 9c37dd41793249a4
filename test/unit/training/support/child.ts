import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { ChildMessage, FinalMessage, ParentMessage } from '../../../../workers/training/protocol.ts';

const ENTRY = path.join(import.meta.dirname, '../../../../workers/training/process.ts');

/** A real training process; publications are acknowledged as they come, unless told otherwise. */
export class Child {
  readonly messages: ChildMessage[] = [];
  acknowledge = true;
  readonly #process: ChildProcess;
  readonly #listeners = new Set<(message: ChildMessage) => void>();

  /** @param entry script of the process */
  constructor(entry = ENTRY, { threads = 1 } = {}) {
    this.#process = fork(entry, [JSON.stringify({ threads })], { execArgv: ['--import', 'tsx'] });
    this.#process.on('message', (raw) => {
      const message = raw as ChildMessage;
      this.messages.push(message);
      if (message.type === 'publish' && this.acknowledge) {
        this.send({ type: 'published', requestId: message.requestId, sequence: message.sequence });
      }
      for (const listener of this.#listeners) listener(message);
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Forgets what was said so far. */
  reset(): void {
    this.messages.length = 0;
    this.acknowledge = true;
  }

  send(message: ParentMessage): void {
    this.#process.send(message);
  }

  /** The next message that fits; fails when the process ends first. */
  waitFor(fits: (message: ChildMessage) => boolean): Promise<ChildMessage> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the training process ended'));
      const listener = (message: ChildMessage): void => {
        if (!fits(message)) return;
        this.#listeners.delete(listener);
        this.#process.off('exit', ended);
        resolve(message);
      };
      this.#listeners.add(listener);
      this.#process.once('exit', ended);
    });
  }

  /** Sends a request and waits for its end. */
  async request(message: Extract<ParentMessage, { spec: unknown }>): Promise<FinalMessage> {
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

  /** Exit code after the parent's side of the channel is closed. */
  async disconnect(): Promise<number> {
    const exit = once(this.#process, 'exit');
    this.#process.disconnect();
    return (await exit)[0] as number;
  }
}
