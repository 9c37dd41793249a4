import type { Job, JobLadder } from '@readapt/client';

/** Parts of what the API says of a job. */
export type LadderRun = JobLadder['data'][number];
export type Rung = LadderRun['rungs'][number];
export type Candidate = LadderRun['candidates'][number];
export type Certificate = NonNullable<Job['certificate']>;
