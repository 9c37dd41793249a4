import { Text } from '@radix-ui/themes';
import type { Job } from '@readapt/client';
import { count, duration, percent } from '../../../lib/format.ts';
import { useNow } from '../../../parts/values/time.tsx';
import { phaseTimes, totalOf, type Phase, type PhaseTime } from './phase-times.ts';

const WORDS: Readonly<Record<Phase, { readonly name: string; readonly meaning: string }>> = {
  queue_wait: { name: 'Waiting', meaning: 'for its rollout to be planned, and for a worker' },
  held: { name: 'Held', meaning: 'somebody wanted it to wait, or it had ended' },
  prepare: { name: 'Preparing', meaning: 'base models, dataset, value of the old version' },
  evolution: { name: 'Evolution', meaning: 'what has changed between the bases' },
  initialize: { name: 'Initializing', meaning: 'the search, and the adapter made from it' },
  fine_tune: { name: 'Fine-tuning', meaning: 'training on the rows of the tenant' },
  evaluate: { name: 'Evaluating', meaning: 'candidates on the gate rows' },
  publish: { name: 'Publishing', meaning: 'the version that has passed' },
};

/** Table of the times per phase. Each bar starts where the previous one ends, which shows that they add up. */
export function Phases({ job }: { job: Job }) {
  const times = phaseTimes(job, useNow()).filter(({ ms, isRunning }) => ms > 0 || isRunning);
  const total = totalOf(times);
  return (
    <table className="phases" aria-label="Time by phase">
      <thead>
        <tr>
          <th scope="col">Phase</th>
          <th scope="col" className="phases-bar">
            <span className="unseen">As a bar</span>
          </th>
          <th scope="col" className="end">
            Milliseconds
          </th>
          <th scope="col" className="end">
            Share
          </th>
        </tr>
      </thead>
      <tbody>
        {times.map((time) => (
          <PhaseRow key={time.phase} time={time} total={total} />
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">{totalName(job)}</th>
          <td className="phases-bar">
            <span className="phase-bar phase-bar-total" />
          </td>
          <td className="end">{count(total)}</td>
          <td className="end">{duration(total)}</td>
        </tr>
      </tfoot>
    </table>
  );
}

function PhaseRow({ time: { phase, start, ms, isRunning }, total }: { time: PhaseTime; total: number }) {
  const { name, meaning } = WORDS[phase];
  const share = total === 0 ? 0 : ms / total;
  return (
    <tr>
      <th scope="row">
        {name}
        {isRunning && ' (now)'}
        <Text as="span" size="1" color="gray" className="phase-meaning">
          {meaning}
        </Text>
      </th>
      <td className="phases-bar">
        <span
          className={`phase-bar phase-bar-${phase}`}
          style={{ marginLeft: `${total === 0 ? 0 : (start / total) * 100}%`, width: `${share * 100}%` }}
        />
      </td>
      <td className="end">{count(ms)}</td>
      <td className="end">{percent(share)}</td>
    </tr>
  );
}

/** Name for the sum of the phases' times: the time to readiness, the time so far, or the time until the job ended. */
export function totalName({ ttr_ms: ttr, finished_at: finishedAt }: Job): string {
  if (ttr !== null) return 'Time to readiness';
  return finishedAt === null ? 'Time so far' : 'Time until it ended';
}

/** Equation that adds up the times of the phases, without those of 0 ms. */
export function PhaseSum({ job }: { job: Job }) {
  const times = phaseTimes(job, useNow()).filter(({ ms }) => ms > 0);
  if (times.length === 0) return null;
  const summands = times.map(({ phase, ms }) => `${count(ms)} ${WORDS[phase].name.toLowerCase()}`).join(' + ');
  const what =
    job.ttr_ms === null ? '' : ', its time to readiness, from the acceptance of the rollout to the publication';
  return (
    <Text as="p" size="2" className="figures">
      {summands} = <strong>{count(totalOf(times))} ms</strong>
      {job.kind === 'adaptation' && what}
    </Text>
  );
}
