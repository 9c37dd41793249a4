import {
  cancelRolloutJobs,
  pauseRolloutJobs,
  resumeRolloutJobs,
  retryRolloutJobs,
  type ChangedRolloutJobs,
  type RetryRolloutJobs,
} from '@readapt/client';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { client } from '../../../api/client.ts';

export type Action = 'pause' | 'resume' | 'cancel' | 'retry';

interface ActionText {
  readonly verb: string;
  /** Sentence that says what the change does to each job. */
  readonly text: string;
  /** Condition that a job must meet to be changed, in words that follow "jobs that": `are paused`. */
  readonly applies: string;
}

export const ACTIONS: Readonly<Record<Action, ActionText>> = {
  pause: {
    verb: 'Pause',
    text:
      'Jobs that run stop within seconds and keep a checkpoint. ' +
      'They stay paused until they are resumed, also when the rollout is.',
    applies: 'have not ended and are not paused by themselves',
  },
  resume: { verb: 'Resume', text: 'Jobs go on from their checkpoints.', applies: 'are paused' },
  cancel: {
    verb: 'Cancel',
    text: 'Jobs end, and nothing is published for them. Their adapters keep the versions that are served now.',
    applies: 'have not ended',
  },
  retry: {
    verb: 'Retry',
    text: 'Jobs begin anew, with the rows and the gates that their adapters have now. The rollout goes on for them.',
    applies: 'have ended without a publication',
  },
};

interface ChangeBody {
  readonly filter: RetryRolloutJobs['filter'];
  readonly options?: { readonly strategy: string };
}

interface ChangeOptions {
  readonly rolloutId: string;
  readonly action: Action;
  readonly body: ChangeBody;
  /** Whether the typed filter can be parsed. */
  readonly isValid: boolean;
}

/** Delay after the last keystroke before the preview is requested, in milliseconds. */
const DEBOUNCE_MS = 300;

/** Previews how many jobs a change by a filter would affect, and gives the function that makes the change. */
export function useChangeOfMany({ rolloutId, action, body, isValid }: ChangeOptions) {
  const debouncedBody = useDebounced(JSON.stringify(body));
  const preview = useQuery({
    queryKey: ['rollouts', rolloutId, 'preview', action, debouncedBody],
    queryFn: ({ signal }) =>
      changeAll({ rolloutId, action, body: JSON.parse(debouncedBody) as ChangeBody, dryRun: true, signal }),
    enabled: isValid && debouncedBody === JSON.stringify(body),
    staleTime: 0,
    gcTime: 0,
  });
  const run = () => changeAll({ rolloutId, action, body, dryRun: false });
  return { preview, run };
}

function useDebounced(value: string): string {
  const [debounced, setDebounced] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setDebounced(value), DEBOUNCE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return debounced;
}

interface ChangeRequest {
  readonly rolloutId: string;
  readonly action: Action;
  readonly body: ChangeBody;
  readonly dryRun: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Changes all jobs of a filter, or only counts them (`dryRun`). One request handles at most 10,000 jobs and returns a
 * cursor.
 */
async function changeAll(request: ChangeRequest): Promise<ChangedRolloutJobs> {
  let sum: ChangedRolloutJobs | null = null;
  let cursor: string | undefined;
  do {
    const part = await changePart(request, cursor);
    sum = sum === null ? part : added(sum, part);
    cursor = part.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return sum;
}

function changePart({ rolloutId: id, action, body, dryRun, signal }: ChangeRequest, cursor: string | undefined) {
  const options = { client, path: { id }, body: { ...body, dry_run: dryRun, cursor } as RetryRolloutJobs, signal };
  if (action === 'pause') return pauseRolloutJobs(options);
  if (action === 'resume') return resumeRolloutJobs(options);
  return action === 'cancel' ? cancelRolloutJobs(options) : retryRolloutJobs(options);
}

function added(a: ChangedRolloutJobs, b: ChangedRolloutJobs): ChangedRolloutJobs {
  const left = new Map<string, number>();
  for (const { code, jobs } of [...a.left, ...b.left]) left.set(code, (left.get(code) ?? 0) + jobs);
  return {
    ...b,
    matched: a.matched + b.matched,
    changed: a.changed + b.changed,
    left: [...left].map(([code, jobs]) => ({ code, jobs })),
  };
}
