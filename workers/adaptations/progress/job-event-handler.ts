import type { JobEvent, JobEventHandler, Publication, Resumption } from '../../../core/adaptation/job-events.ts';
import type { CandidateRecord } from '../../../core/method/ladder/candidate.ts';
import { ladderDocument } from '../../../core/method/ladder/ladder-document.ts';
import type { WatchRecord } from '../../../core/method/ladder/watch-log.ts';
import type { SearchEvaluation } from '../../../core/method/search/search-task.ts';
import type { Logger } from '../../../src/lib/logger.ts';
import type { JobAnchor } from '../anchors/anchor.repository.ts';
import { requireAnchor, toJobAnchor, type JobAnchorSpec } from '../anchors/anchor.ts';
import type { PhaseSpans } from './phase-spans.ts';
import type { ProgressRecorder } from './progress-recorder.ts';
import { publishCandidate, type PublicationContext } from '../publication.ts';

export interface JobEventContext extends Omit<PublicationContext, 'anchor'> {
  /** Anchor of the job, against which the gate measures the allowed loss; null if the job has none. */
  anchorSpec: JobAnchorSpec | null;
  /** Id of this worker in the list of workers. */
  workerId: string | null;
  recorder: ProgressRecorder;
  logger: Logger;
  phases: PhaseSpans;
  /** Called after a candidate was published. */
  onPublished(): void;
}

/**
 * Makes the handler that writes a running job's events to the database. No other code of a worker receives these
 * events.
 */
export function createJobEventHandler(context: JobEventContext): JobEventHandler {
  const { lifecycle, lease, recorder, job, anchorSpec } = context;
  let anchor: JobAnchor | null = null;
  return async (event: JobEvent) => {
    switch (event.type) {
      case 'phase':
        context.phases.begin(event.phase);
        return lifecycle.advancePhase(lease, event.phase);
      case 'progress':
        return recorder.progress(event.step, event.totalSteps);
      case 'points':
        return recorder.points(event.points);
      case 'candidate':
        return recordCandidate(recorder, event.candidate, recorder.step);
      case 'search':
        return recordSearch(recorder, event.evaluation, event.evaluations);
      case 'ladder':
        return recorder.ladder(ladderDocument(event.ladder));
      case 'watched':
        return recordWatched(recorder, event.watched, recorder.step);
      case 'resumed':
        return recordAgain(recorder, event);
      case 'baselines':
        return recorder.baselines(event.target, event.baselines);
      case 'old_measured':
        return recorder.oldMeasured(event.outcomes);
      case 'anchor':
        await requireAnchor(context, event.anchor);
        anchor = toJobAnchor(job, anchorSpec?.spec ?? null, event.anchor);
        return recorder.anchor(anchor);
      case 'publication':
        return publish({ ...context, anchor }, event);
      case 'warning':
        // The warning concerns the tenant's rows or gate, and is stored with the job; the operator cannot fix it.
        context.logger.info(event.message);
        return recorder.warning(event.message);
      case 'row_format':
        return recorder.rowFormat(event.format);
      case 'old_known':
      case 'rung':
      case 'skipped':
      case 'published':
        return;
    }
  };
}

/**
 * Records the measurements that the checkpoint of a resumed job contains, in case an earlier attempt did not store
 * them. Measurements that are stored already stay unchanged.
 */
function recordAgain(recorder: ProgressRecorder, { points, searches, candidates, watched }: Resumption): void {
  recorder.points(points);
  for (const [index, evaluation] of searches.entries()) recordSearch(recorder, evaluation, index + 1);
  for (const { candidate, trained } of candidates) recordCandidate(recorder, candidate, trained);
  for (const { watched: record, trained } of watched) recordWatched(recorder, record, trained);
}

/**
 * Records the loss of one point of the search for fusion coefficients.
 * @param evaluations number of points measured so far, including this one
 */
function recordSearch(recorder: ProgressRecorder, evaluation: SearchEvaluation, evaluations: number): void {
  const { alpha: fusionAlpha, beta: fusionBeta, rows, loss, ms: durationMs } = evaluation;
  recorder.search({ index: evaluations - 1, fusionAlpha, fusionBeta, rows, metric: 'loss', loss, durationMs });
  recorder.points([{ name: 'search_loss', step: evaluations, value: loss }]);
}

/**
 * Records the metric of a candidate on the gate rows.
 * @param trained number of training steps after which the candidate was judged
 */
function recordCandidate(recorder: ProgressRecorder, { id, step, metric }: CandidateRecord, trained: number): void {
  // Untrained candidates all have step 0, so each needs a name of its own.
  const point = (what: string, value: number) =>
    recorder.points([
      step > 0 ? { name: `gate_${what}`, step: trained, value } : { name: `${id}_${what}`, step: 0, value },
    ]);
  const { name, value, rows, available } = metric;
  if (available !== undefined) point('rows', rows);
  // Diverged training has no finite metric, and neither JSON nor the table of points can hold it.
  if (!Number.isFinite(value)) return;
  recorder.candidate(value);
  point(name, value);
}

/** Records a metric on the search rows, of the adapter in training or of the adapter that the training starts from. */
function recordWatched(recorder: ProgressRecorder, { step, metric }: WatchRecord, trained: number): void {
  const { name, value } = metric;
  if (Number.isFinite(value)) recorder.points([{ name: `watched_${name}`, step: step > 0 ? trained : 0, value }]);
}

async function publish(context: JobEventContext & PublicationContext, publication: Publication): Promise<void> {
  const { recorder, logger, onPublished, phases } = context;
  await recorder.flush();
  const { strategy, metric } = publication.candidate;
  const versionId = await phases.publication(strategy, () => publishCandidate(context, publication));
  recorder.published(metric.value);
  onPublished();
  logger.info({ versionId, strategy, value: metric.value }, 'adapter published');
}
