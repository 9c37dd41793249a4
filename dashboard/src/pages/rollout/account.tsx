import { Flex, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Rollout, RolloutRollback } from '@readapt/client';
import { counted, sentence } from '../../lib/format.ts';
import { Time } from '../../parts/values/time.tsx';
import { Note } from './note.tsx';
import { rollbackQuery } from './rollout-queries.ts';

/** Notes on the rollout's situation, with advice on what to do. */
export function RolloutAccount({ rollout }: { rollout: Rollout }) {
  const { deadline_missed_at: missed, superseded_by: successor, rolled_back_at: rolledBack } = rollout;
  return (
    <Flex direction="column" gap="3" mb="5">
      {rolledBack !== null && <RolledBack rollout={rollout} at={rolledBack} />}
      <Standing rollout={rollout} />
      {missed !== null && (
        <Note tone="amber" title="The deadline has passed">
          The rollout goes on after its deadline, which was missed <Time value={missed} both />.
        </Note>
      )}
      {successor !== null && (
        <Note tone="gray" title="A rollout to a newer version has taken adapters over">
          Its page says{' '}
          <Link to="/rollouts/$rolloutId" params={{ rolloutId: successor }} className="plain-link">
            how far the newer rollout is
          </Link>
          .
        </Note>
      )}
    </Flex>
  );
}

/** Note on the rollback of the rollout and its effect. */
function RolledBack({ rollout, at }: { rollout: Rollout; at: string }) {
  const { data } = useQuery(rollbackQuery(rollout));
  return (
    <Note tone="amber" title={data === undefined ? 'The rollout was rolled back' : titleOf(data)}>
      {data !== undefined && data.left_alone > 0 && leftAlone(data.left_alone)}For those that went back, what was
      current on version {rollout.version} before the rollout is current again, or nothing where there was nothing.
      Rolled back <Time value={at} both />.
    </Note>
  );
}

function titleOf({ rolled_back: back, left_alone: alone }: RolloutRollback): string {
  const begin = `The rollout was rolled back: ${counted(back, 'adapter')} went back`;
  return alone === 0 ? begin : `${begin}, ${alone} stayed`;
}

function leftAlone(alone: number): string {
  const unchanged = `${counted(alone, 'adapter')} stayed as ${alone === 1 ? 'it was' : 'they were'}`;
  return `${unchanged}, because something else had become current since. `;
}

function Standing({ rollout }: { rollout: Rollout }) {
  const { state, error, waves, summary } = rollout;
  if (state === 'failed') return <Failed error={error} />;
  if (state === 'paused') return <Paused rollout={rollout} />;
  if (waves?.awaiting_approval === true) {
    return (
      <Note tone="amber" title={`Wave ${waves.released + 1} of ${waves.total} waits for an approval`}>
        All jobs of the waves before have ended. Look at what they have come to, then approve the next wave, or cancel
        the rollout.
      </Note>
    );
  }
  if (state === 'cancelled') {
    return (
      <Note tone="gray" title="The rollout was cancelled">
        {counted(summary.ready, 'adapter')} had become ready before, and what was published for them stays.
      </Note>
    );
  }
  if (state === 'planning') {
    return (
      <Note tone="blue" title="Waits for a worker">
        A worker verifies the files of the new version first, and plans the jobs then. If this lasts, look at whether a
        worker is running.
      </Note>
    );
  }
  return state === 'completed' ? <Completed rollout={rollout} /> : null;
}

function Failed({ error }: Pick<Rollout, 'error'>) {
  return (
    <Note tone="red" title="The rollout has failed">
      {error === null ? 'The service has not said why.' : `${error.message}.`}
      {typeof error?.detail === 'string' && ` ${error.detail}.`} Nothing that is served has changed by it. Mend the
      cause, then begin a new rollout.
      {error !== null && (
        <Text as="p" size="1" mt="1">
          Code {error.code}
        </Text>
      )}
    </Note>
  );
}

const PAUSES: Readonly<Record<NonNullable<Rollout['paused_reason']>['code'], { title: string; advice: string }>> = {
  requested: {
    title: 'Somebody has paused the rollout',
    advice: 'Jobs that had begun have written a checkpoint and go on from there when it is resumed.',
  },
  pause_if: {
    title: 'The rollout has stopped itself',
    advice:
      'Look at the jobs that are not ready. Resume it to go on all the same, cancel it, or cancel it and roll it back.',
  },
  budget_spent: {
    title: 'The rollout has used up its budget of device time',
    advice: 'Resume it to give it as much again, or cancel it.',
  },
  approval_refused: {
    title: 'The next wave was refused',
    advice: 'Ask who refused it, then resume or cancel the rollout.',
  },
};

function Paused({ rollout }: { rollout: Rollout }) {
  const { paused_reason: reason, paused_at: since } = rollout;
  const { title, advice } = PAUSES[reason?.code ?? 'requested'];
  const wave = reason?.wave === undefined || reason.code === 'requested' ? '' : ` at wave ${reason.wave}`;
  return (
    <Note tone="amber" title={`${title}${wave}`}>
      {reason !== null && reason.code !== 'requested' && `${sentence(reason.message)} `}
      {advice} Paused <Time value={since} both />.
    </Note>
  );
}

function Completed({ rollout: { summary } }: { rollout: Rollout }) {
  const { adapters, ready, not_ready: notReady, failed, cancelled } = summary;
  const left = adapters - ready;
  if (adapters === 0) {
    return (
      <Note tone="gray" title="There was no adapter to carry over">
        Every adapter of the base model already has a version for it, or was left out.
      </Note>
    );
  }
  if (left === 0) {
    return (
      <Note
        tone="green"
        title={
          adapters === 1
            ? 'The only adapter is ready and published'
            : `All ${adapters} adapters are ready and published`
        }
      />
    );
  }
  return (
    <Note tone="amber" title={`${counted(ready, 'adapter')} ready, ${counted(left, 'adapter')} not`}>
      {[
        notReady > 0 && `${notReady} did not pass the gate within the budget`,
        failed > 0 && `${failed} failed`,
        cancelled > 0 && `${cancelled} cancelled`,
      ]
        .filter(Boolean)
        .join(', ')}
      . Open one of them in the table to see why. They can be tried again, with another strategy too.
    </Note>
  );
}
