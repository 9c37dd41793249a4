import { CheckCircledIcon, ExclamationTriangleIcon } from '@radix-ui/react-icons';
import { Box, Callout, Card, Flex, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Attention, AttentionEntry } from '@readapt/client';
import { counted } from '../../lib/format.ts';
import { Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { Time } from '../../parts/values/time.tsx';
import { attentionQuery } from './fleet-queries.ts';

interface AttentionText {
  readonly title: string;
  /** Advice on what to do about an entry of the list. */
  readonly advice: string;
}

const TEXTS: Readonly<Record<AttentionEntry['kind'], (entry: AttentionEntry) => AttentionText>> = {
  wave_awaits_approval: ({ name }) => ({
    title: `The next wave of ${name} waits for an approval`,
    advice: 'Look at the waves so far, then approve the next one.',
  }),
  rollout_paused_itself: ({ name, reason }) => ({
    title: `The rollout to ${name} has paused itself${inWords(reason)}`,
    advice: 'Look at what it has found, then resume it, cancel it or roll it back.',
  }),
  rollout_failed: ({ name, reason }) => ({
    title: `The rollout to ${name} has failed${inWords(reason)}`,
    advice: 'The page of the rollout says why, and what to do.',
  }),
  deadline_missed: ({ name }) => ({
    title: `The rollout to ${name} goes on after its deadline`,
    advice: 'Look at what still runs, and whether more workers would help.',
  }),
  jobs_await_approval: ({ name, count: jobs }) => ({
    title: `${counted(jobs ?? 0, 'job')} in the rollout to ${name} wait for their tenant's approval`,
    advice: 'The tenant approves each of them.',
  }),
  worker_quarantined: ({ name, reason }) => ({
    title: `A worker on ${name} is in quarantine${inWords(reason)}`,
    advice: 'Look at its machine, then lift the quarantine.',
  }),
  webhook_endpoint_disabled: ({ name }) => ({
    title: `The webhook endpoint ${name} was disabled`,
    advice: 'Mend the receiver and enable the endpoint again.',
  }),
  base_model_version_retires: ({ name, count: adapters, since }) => ({
    title:
      since !== null && Date.parse(since) < Date.now()
        ? `${name} has retired, and ${counted(adapters ?? 0, 'adapter')} are still served there`
        : `${name} retires soon, and ${counted(adapters ?? 0, 'adapter')} are served there`,
    advice: 'See which of them are on no version that is served for longer.',
  }),
};

function inWords(reason: string | null): string {
  return reason === null ? '' : `: ${reason.replaceAll('_', ' ')}`;
}

export function AttentionList() {
  const query = useQuery(attentionQuery);
  return (
    <Section title="What needs a person">
      <Loaded query={query} what="what needs a person" height={64}>
        {(attention) => <Entries attention={attention} />}
      </Loaded>
    </Section>
  );
}

function Entries({ attention: { data, counts } }: { attention: Attention }) {
  if (data.length === 0) {
    return (
      <Callout.Root color="green" variant="surface" highContrast>
        <Callout.Icon>
          <CheckCircledIcon aria-hidden />
        </Callout.Icon>
        <Callout.Text>Nothing waits for a person.</Callout.Text>
      </Callout.Root>
    );
  }
  const all = Object.values(counts).reduce<number>((sum, number) => sum + (number ?? 0), 0);
  return (
    <>
      <ul className="plain-list">
        {data.map((entry) => (
          <li key={`${entry.kind} ${entry.subject_id} ${entry.tenant_id ?? ''}`}>
            <Entry entry={entry} />
          </li>
        ))}
      </ul>
      {all > data.length && (
        <Text size="2" color="gray">
          {counted(all - data.length, 'more entry', 'more entries')} like these are not shown.
        </Text>
      )}
    </>
  );
}

function Entry({ entry }: { entry: AttentionEntry }) {
  const { title, advice } = TEXTS[entry.kind](entry);
  return (
    <Card size="1">
      <Flex gap="3" align="start">
        <Text color="amber" mt="1">
          <ExclamationTriangleIcon aria-hidden />
        </Text>
        <Box flexGrow="1">
          <Flex align="baseline" justify="between" gap="3" wrap="wrap">
            <Text weight="medium" className="any-text">
              <Subject entry={entry}>{title}</Subject>
            </Text>
            <Text size="2" color="gray">
              {entry.since !== null && <Time value={entry.since} />}
            </Text>
          </Flex>
          <Text as="p" size="2" color="gray">
            {advice}
          </Text>
        </Box>
      </Flex>
    </Card>
  );
}

function Subject({ entry: { kind, subject_id: id }, children }: { entry: AttentionEntry; children: string }) {
  if (kind === 'webhook_endpoint_disabled') return children;
  if (kind === 'worker_quarantined') {
    return (
      <Link to="/workers" className="plain-link">
        {children}
      </Link>
    );
  }
  if (kind === 'base_model_version_retires') {
    return (
      <Link to="/base-model-versions/$versionId" params={{ versionId: id }} className="plain-link">
        {children}
      </Link>
    );
  }
  return (
    <Link to="/rollouts/$rolloutId" params={{ rolloutId: id }} className="plain-link">
      {children}
    </Link>
  );
}
