import { CheckIcon, Cross2Icon, PauseIcon, PlayIcon, ResetIcon } from '@radix-ui/react-icons';
import { Flex, Text } from '@radix-ui/themes';
import {
  approveRollout,
  cancelRollout,
  isEndOfJob,
  isEndOfRollout,
  pauseRollout,
  resumeRollout,
  rollBackRollout,
  type Job,
  type Rollout,
} from '@readapt/client';
import { client } from '../../api/client.ts';
import { counted } from '../../lib/format.ts';
import { ConfirmButton } from '../../parts/actions/confirm-button.tsx';

/** Buttons for an operator's actions that the rollout's state allows. */
export function RolloutVerbs({ rollout }: { rollout: Rollout }) {
  if (isEndOfRollout(rollout.state)) return <RollBack rollout={rollout} />;
  return (
    <>
      {rollout.waves?.awaiting_approval === true && rollout.state !== 'paused' && <Approve rollout={rollout} />}
      {rollout.state === 'paused' ? <Resume rollout={rollout} /> : <Pause rollout={rollout} />}
      <Cancel rollout={rollout} />
    </>
  );
}

const WAITING: readonly string[] = ['queued', 'held', 'paused'];

/** Counts the rollout's jobs, adaptations and controls together, in the states that `includes` accepts. */
function jobsIn({ jobs, controls }: Rollout, includes: (state: string) => boolean): number {
  return [...Object.entries(jobs), ...Object.entries(controls)].reduce(
    (sum, [state, number]) => sum + (includes(state) ? number : 0),
    0,
  );
}

const isOver = (state: string) => isEndOfJob(state as Job['state']);
const waits = (state: string) => WAITING.includes(state);
const runs = (state: string) => !isOver(state) && !waits(state);
/** Chooses the singular or the plural of a verb by a number: `1 job runs`, `2 jobs run`. */
const verb = (number: number, one: string, many: string) => (number === 1 ? one : many);

function Pause({ rollout }: { rollout: Rollout }) {
  const [running, waiting] = [jobsIn(rollout, runs), jobsIn(rollout, waits)];
  return (
    <ConfirmButton
      label="Pause the rollout"
      icon={<PauseIcon aria-hidden />}
      run={() => pauseRollout({ client, path: { id: rollout.id } })}
    >
      {counted(running, 'running job')} {verb(running, 'stops and keeps', 'stop and keep')} a checkpoint within seconds,
      and {counted(waiting, 'waiting job')} {verb(waiting, 'does', 'do')} not begin. Nothing is lost: resumed, each goes
      on where it was. What is published already stays served.
    </ConfirmButton>
  );
}

function Resume({ rollout }: { rollout: Rollout }) {
  const reason = rollout.paused_reason;
  const left = jobsIn(rollout, (state) => !isOver(state));
  return (
    <ConfirmButton
      label="Resume the rollout"
      icon={<PlayIcon aria-hidden />}
      run={() => resumeRollout({ client, path: { id: rollout.id } })}
    >
      {counted(left, 'job')} {verb(left, 'goes', 'go')} on, each from its checkpoint. Jobs that somebody has paused by
      themselves stay paused.
      {reason?.code === 'pause_if' && ` Wave ${reason.wave} is not judged again, the next one is.`}
      {reason?.code === 'budget_spent' && ' They may use as much device time again as the budget says.'}
    </ConfirmButton>
  );
}

function Approve({ rollout }: { rollout: Rollout }) {
  const wave = (rollout.waves?.released ?? 0) + 1;
  const held = rollout.jobs.held ?? 0;
  return (
    <ConfirmButton
      label={`Approve wave ${wave}`}
      icon={<CheckIcon aria-hidden />}
      variant="solid"
      run={() => approveRollout({ client, path: { id: rollout.id }, body: { wave } })}
    >
      The jobs of wave {wave} of {rollout.waves?.total} begin. {counted(held, 'job')} {verb(held, 'is', 'are')} held
      now, which includes those of later waves.
    </ConfirmButton>
  );
}

function Cancel({ rollout }: { rollout: Rollout }) {
  const left = jobsIn(rollout, (state) => !isOver(state));
  const { ready } = rollout.summary;
  return (
    <ConfirmButton
      label="Cancel the rollout"
      icon={<Cross2Icon aria-hidden />}
      color="red"
      run={() => cancelRollout({ client, path: { id: rollout.id } })}
    >
      {counted(left, 'job')} {verb(left, 'is', 'are')} cancelled and cannot be resumed.{' '}
      {counted(ready, 'ready adapter')} {verb(ready, 'keeps', 'keep')} what was published; to take that back too, roll
      the rollout back afterwards.
    </ConfirmButton>
  );
}

function RollBack({ rollout }: { rollout: Rollout }) {
  const { summary, version, rolled_back_at: before } = rollout;
  return (
    <ConfirmButton
      label={before === null ? 'Roll back' : 'Roll back again'}
      question={before === null ? 'Roll the rollout back?' : 'Roll the rollout back again?'}
      icon={<ResetIcon aria-hidden />}
      color="red"
      run={() => rollBackRollout({ client, path: { id: rollout.id } })}
    >
      <Flex direction="column" gap="2">
        {before === null ? (
          <Text as="p">
            {counted(summary.ready, 'adapter')} {verb(summary.ready, 'is', 'are')} ready by this rollout. For each of
            them, and for provisional versions, what was current on version {version} before is current again; where
            there was nothing, nothing is served there any more.
          </Text>
        ) : (
          <Text as="p">
            Adapters for which a version of this rollout has become current since the last rollback go back once more.
          </Text>
        )}
        <Text as="p">
          Adapters for which somebody has made something else current since are left alone. No version is deleted, and
          each adapter can go forward again.
        </Text>
      </Flex>
    </ConfirmButton>
  );
}
