import { createContext } from 'react';

interface JobsFacts {
  /** Whether the rollout may go on for a job that ended without a publication. */
  readonly canRetry: boolean;
  /** A job of a paused rollout cannot be resumed by itself. */
  readonly rolloutPaused: boolean;
}

/** What the cells of the table have to know beside their job. A change of it leaves the cells, and what is open in them, in place. */
export const JobsContext = createContext<JobsFacts>({ canRetry: false, rolloutPaused: false });
