import { createProgressView } from './progress-view.ts';
import { EXIT, UnsuccessfulResult } from '../process/errors.ts';
import { JobNotReadyError, waitForJob, type Job } from '../remote/client.ts';
import type { Service, ServiceOptions } from '../remote/service.ts';
import { printable } from '../screen/text.ts';
import { untilInterrupted } from './until-interrupted.ts';

/** Shows a job until it has ended. @throws UnsuccessfulResult if it has not ended as ready */
export async function watchJob({ client }: Service, id: string, { json = false }: ServiceOptions): Promise<void> {
  const view = json ? null : createProgressView(process.stdout);
  const onChange = (job: Job): void => {
    if (view === null) process.stdout.write(`${JSON.stringify({ job })}\n`);
    else view.update([job], Date.now() - Date.parse(job.created_at));
  };
  const goesOn = `job ${id} goes on; \`readapt jobs watch ${id}\` shows it again`;
  try {
    await untilInterrupted(goesOn, (signal) => waitForJob({ client, id, signal, onChange }));
  } catch (error) {
    if (!(error instanceof JobNotReadyError)) throw error;
    const { state, error: reason } = error.job;
    const why = reason === null ? '' : `: ${printable(reason.detail ?? reason.message)}`;
    throw new UnsuccessfulResult(`job ${id} is ${state}${why}`, EXIT.endedBadly);
  } finally {
    view?.close();
  }
}
