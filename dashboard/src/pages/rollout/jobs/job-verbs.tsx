import { DotsHorizontalIcon } from '@radix-ui/react-icons';
import { DropdownMenu, IconButton, Text } from '@radix-ui/themes';
import { approveJob, cancelJob, isEndOfJob, pauseJob, resumeJob, retryJob, type Job } from '@readapt/client';
import { createContext, useContext, useState } from 'react';
import { client } from '../../../api/client.ts';
import { ConfirmDialog } from '../../../parts/actions/confirm-dialog.tsx';

interface JobsFacts {
  /** Whether jobs of the rollout that ended without a publication may be retried. */
  readonly canRetry: boolean;
  /** Whether the rollout is paused. If so, its jobs cannot be resumed one by one. */
  readonly rolloutPaused: boolean;
}

/**
 * State of the rollout that the table's cells need. It is passed as a context because a change of columns would rebuild
 * the cells and close their open menus.
 */
export const JobsContext = createContext<JobsFacts>({ canRetry: false, rolloutPaused: false });

type Verb = 'approve' | 'pause' | 'resume' | 'cancel' | 'retry';

interface JobAction {
  readonly label: string;
  /** Sentence that says what the action does to the job. */
  readonly text: string;
  readonly run: (id: string) => Promise<unknown>;
}

const VERBS: Readonly<Record<Verb, JobAction>> = {
  approve: {
    label: 'Approve the job',
    text: 'The job begins as soon as its wave and a worker are there for it.',
    run: (id) => approveJob({ client, path: { id } }),
  },
  pause: {
    label: 'Pause the job',
    text:
      'It stops within seconds and keeps a checkpoint. ' +
      'It stays paused until somebody resumes it, also when the rollout is resumed.',
    run: (id) => pauseJob({ client, path: { id } }),
  },
  resume: {
    label: 'Resume the job',
    text: 'It goes on from its checkpoint.',
    run: (id) => resumeJob({ client, path: { id } }),
  },
  cancel: {
    label: 'Cancel the job',
    text:
      'It ends, and nothing is published for it. Its adapter keeps the version that is served now. ' +
      'It can be retried later.',
    run: (id) => cancelJob({ client, path: { id } }),
  },
  retry: {
    label: 'Retry the job',
    text: 'It begins anew, with the rows and the gate that its adapter has now. The rollout goes on for it.',
    run: (id) => retryJob({ client, path: { id } }),
  },
};

/** Menu with the actions that a job's state allows. */
export function JobVerbs({ job }: { job: Job }) {
  const { canRetry, rolloutPaused } = useContext(JobsContext);
  const [chosen, setChosen] = useState<Verb | null>(null);
  const verbs = verbsOf(job, canRetry, rolloutPaused);
  if (verbs.length === 0 && chosen === null) return null;
  const what = `${job.kind === 'control' ? 'the control of ' : ''}${job.adapter_name}`;
  return (
    <>
      <DropdownMenu.Root>
        <DropdownMenu.Trigger>
          <IconButton size="1" variant="soft" color="gray" highContrast aria-label={`What can be done to ${what}`}>
            <DotsHorizontalIcon aria-hidden />
          </IconButton>
        </DropdownMenu.Trigger>
        <DropdownMenu.Content>
          {verbs.map((verb) => (
            <DropdownMenu.Item
              key={verb}
              color={verb === 'cancel' ? 'red' : undefined}
              onSelect={() => setChosen(verb)}
            >
              {VERBS[verb].label} …
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Root>
      {chosen !== null && (
        <ConfirmDialog
          label={VERBS[chosen].label}
          color={chosen === 'cancel' ? 'red' : undefined}
          run={() => VERBS[chosen].run(job.id)}
          onClose={() => setChosen(null)}
        >
          <Text as="p">
            One job, {what}. {VERBS[chosen].text}
          </Text>
        </ConfirmDialog>
      )}
    </>
  );
}

function verbsOf(job: Job, canRetry: boolean, rolloutPaused: boolean): Verb[] {
  const { state, approval, paused_by: pausedBy } = job;
  if (isEndOfJob(state)) return state === 'ready' || !canRetry ? [] : ['retry'];
  const isPaused = state === 'paused' && pausedBy === 'job';
  return [
    ...(approval === 'awaited' ? (['approve'] as const) : []),
    ...(isPaused ? [] : (['pause'] as const)),
    ...(isPaused && !rolloutPaused ? (['resume'] as const) : []),
    'cancel',
  ];
}
