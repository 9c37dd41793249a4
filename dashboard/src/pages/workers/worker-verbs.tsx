import { Flex } from '@radix-ui/themes';
import { PauseIcon, PlayIcon, StopIcon } from '@radix-ui/react-icons';
import { drainWorker, liftQuarantine, releaseWorker, type Worker } from '@readapt/client';
import { client } from '../../api/client.ts';
import { ConfirmButton } from '../../parts/actions/confirm-button.tsx';

/** Buttons for an operator's actions that the worker's state allows. */
export function WorkerVerbs({ worker }: { worker: Worker }) {
  const { id, state, current_job: job, drain_requested_at: drained, idle_requested_at: idle } = worker;
  const path = { id };
  const first = job === null ? 'It works on nothing now' : 'It ends its job first';
  return (
    <Flex gap="2" wrap="wrap">
      {state === 'quarantined' && (
        <ConfirmButton
          label="Lift the quarantine"
          icon={<PlayIcon aria-hidden />}
          run={() => liftQuarantine({ client, path })}
        >
          It takes jobs again at once. Where its clock is wrong, it goes on waiting until that is right.
        </ConfirmButton>
      )}
      {drained === null && idle === null && (
        <ConfirmButton
          label="Let it rest"
          icon={<PauseIcon aria-hidden />}
          run={() => drainWorker({ client, path, query: { stop: false } })}
        >
          {first}, then it takes no other until it is released. Other workers take its jobs.
        </ConfirmButton>
      )}
      {drained === null && idle !== null && (
        <ConfirmButton label="Release it" icon={<PlayIcon aria-hidden />} run={() => releaseWorker({ client, path })}>
          It takes jobs again within five seconds.
        </ConfirmButton>
      )}
      {drained === null && (
        <ConfirmButton
          label="Drain it"
          icon={<StopIcon aria-hidden />}
          color="red"
          run={() => drainWorker({ client, path })}
        >
          {first}, then its process stops. That cannot be taken back: what has started it may start another one.
        </ConfirmButton>
      )}
    </Flex>
  );
}
