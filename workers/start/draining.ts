import type { Consumer } from '../../src/platform/queue/index.ts';
import type { Logger } from '../../src/lib/logger.ts';

/**
 * Request of an operator: `stop` ends the worker after its running job, `wait` lets it take no jobs until it is
 * released, and null lets it work.
 */
type Wanted = 'stop' | 'wait' | null;

interface DrainingOptions {
  consumer: Pick<Consumer, 'rest' | 'resume' | 'drain'>;
  logger: Logger;
  /** Called when the worker stops taking jobs, or takes jobs again. */
  onChange(isDraining: boolean): void;
}

export interface Draining {
  /** Lets the running job finish and takes no other job. This cannot be undone. */
  drain(): void;
  /** Carries out the operator's latest request. Requests may change until the worker is drained for good. */
  follow(wanted: Wanted): void;
  /** Promise that resolves when the worker is drained for good. */
  readonly drained: Promise<void>;
}

/** Makes a worker take no more jobs after its running one, either for good or until an operator releases it. */
export function createDraining({ consumer, logger, onChange }: DrainingOptions): Draining {
  let setDrained: () => void;
  const drained = new Promise<void>((resolve) => (setDrained = resolve));
  let byProcess = false;
  let byOperator: Wanted = null;
  let applied: Wanted = null;
  let isFinal = false;
  const wanted = (): Wanted => (byProcess ? 'stop' : byOperator);

  const stopIfWanted = (): void => {
    if (isFinal || wanted() !== 'stop') return;
    isFinal = true;
    void consumer.drain().then(setDrained);
  };
  const apply = (): void => {
    const next = wanted();
    if (isFinal || next === applied) return;
    applied = next;
    if (next === null) {
      logger.info('the worker is released: it takes jobs again');
      consumer.resume();
    } else {
      logger.info(
        next === 'stop'
          ? 'the worker is drained: it ends its job and takes no other'
          : 'the worker is drained: it ends its job and takes no other until it is released',
      );
      // Until the running job has finished, the operator may still release the worker.
      void consumer.rest().then(stopIfWanted);
    }
    onChange(next !== null);
  };
  return {
    drain: () => {
      byProcess = true;
      apply();
    },
    follow: (next) => {
      byOperator = next;
      apply();
    },
    drained,
  };
}
