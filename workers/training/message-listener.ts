import type { JobListener } from '../../core/adaptation/job-listener.ts';
import type { ChildMessage } from './protocol.ts';

/**
 * A listener that tells the parent everything. A publication waits for the parent's word or for the signal.
 * @param onWait takes the function to call with the number of a publication that is durable
 */
export function createMessageListener(
  requestId: string,
  send: (message: ChildMessage) => void,
  signal: AbortSignal,
  onWait: (resolve: (sequence: number) => void) => void,
): JobListener {
  let metric: number | null = null;
  /** Of all training so far: a candidate knows only the steps of its own. */
  let stepsDone = 0;
  return {
    phase: (phase) => send({ type: 'phase', requestId, phase, at: Date.now() }),
    progress: (step, totalSteps) => {
      stepsDone = step;
      send({ type: 'progress', requestId, step, totalSteps, metric });
    },
    metrics: (points) => send({ type: 'metrics', requestId, points }),
    baselines: (target, baselines) => send({ type: 'baselines', requestId, target, baselines }),
    old: (outcomes) => send({ type: 'old', requestId, outcomes }),
    event: (event) => {
      if (event.type === 'candidate') {
        const { id, metric: found } = event.candidate;
        metric = found.value;
        // Copy, revert and search are all of step 0; each has a name of its own.
        const [name, step] = event.candidate.step > 0 ? [`gate_${found.name}`, stepsDone] : [`${id}_${found.name}`, 0];
        // Of a run that diverges; JSON and the table of points have numbers only.
        if (Number.isFinite(found.value))
          send({ type: 'metrics', requestId, points: [{ name, step, value: found.value }] });
      }
      if (event.type === 'search') {
        const { alpha, beta, rows, loss, ms } = event.evaluation;
        const index = event.evaluations - 1;
        send({ type: 'search', requestId, index, alpha, beta, rows, loss, durationMs: ms });
        send({ type: 'metrics', requestId, points: [{ name: 'search_loss', step: event.evaluations, value: loss }] });
      }
    },
    publish: (sequence, dir, candidate, outcomes) =>
      new Promise<void>((resolve, reject) => {
        const abort = (): void => reject(signal.reason as Error);
        // A parent that cancels while the candidate was being written does not answer any more.
        if (signal.aborted) return abort();
        signal.addEventListener('abort', abort, { once: true });
        onWait((durable) => {
          if (durable !== sequence) return;
          signal.removeEventListener('abort', abort);
          resolve();
        });
        send({ type: 'publish', requestId, sequence, dir, candidate, outcomes });
      }),
  };
}
