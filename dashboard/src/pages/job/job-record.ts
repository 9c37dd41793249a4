import type { Job, JobLadder } from '@readapt/client';

/** One run of a job's ladder; a retry starts another run. */
export type LadderRun = JobLadder['data'][number];
export type Rung = LadderRun['rungs'][number];
export type Candidate = LadderRun['candidates'][number];
export type Certificate = NonNullable<Job['certificate']>;
