import { SegmentedControl, Text } from '@radix-ui/themes';
import { useNavigate, useSearch } from '@tanstack/react-router';
import type { Event, Job } from '@readapt/client';
import { DENSITIES, JOB_STATES } from '../../../routes/search.ts';
import { Empty, Loaded } from '../../../parts/feedback/loaded.tsx';
import { Section } from '../../../parts/layout/section.tsx';
import { StateBadge, wordOf } from '../../../parts/values/state-badge.tsx';
import { Time } from '../../../parts/values/time.tsx';
import { useEvents } from '../job-queries.ts';

type Density = (typeof DENSITIES)[number];

const NAMES: Readonly<Record<Density, string>> = { changes: 'States', all: 'All', json: 'JSON' };

/** Events of the job, the latest last, with a choice of the level of detail. */
export function Events({ job }: { job: Job }) {
  const query = useEvents(job);
  const { events: density = 'changes' } = useSearch({ from: '/shell/jobs/$jobId' });
  const navigate = useNavigate();
  const choose = (value: string) =>
    void navigate({
      to: '.',
      search: (before) => ({ ...before, events: DENSITIES.find((each) => each === value) }),
      replace: true,
    });
  return (
    <Section
      title="Events"
      aside={
        <SegmentedControl.Root
          size={{ initial: '1', sm: '2' }}
          value={density}
          onValueChange={choose}
          aria-label="Which events are shown"
        >
          {DENSITIES.map((each) => (
            <SegmentedControl.Item key={each} value={each}>
              {NAMES[each]}
            </SegmentedControl.Item>
          ))}
        </SegmentedControl.Root>
      }
    >
      <Loaded query={query} what="the events">
        {(events) => (events.length === 0 ? <NoEvents /> : <Shown events={events} density={density} />)}
      </Loaded>
    </Section>
  );
}

function NoEvents() {
  return <Empty title="No event is kept.">Events are pruned after a time, which the operator chooses.</Empty>;
}

function Shown({ events, density }: { events: readonly Event[]; density: Density }) {
  if (density === 'json') {
    return (
      <pre className="json" tabIndex={0} role="region" aria-label="Events as JSON">
        {JSON.stringify(events, null, 2)}
      </pre>
    );
  }
  const shown = density === 'all' ? events : events.filter((event) => STATES.has(stateOf(event)));
  return (
    <ol className="plain-list" aria-label={NAMES[density]}>
      {shown.map((event) => (
        <li key={event.id}>
          <Entry event={event} whole={density === 'all'} />
        </li>
      ))}
    </ol>
  );
}

const STATES: ReadonlySet<string> = new Set(JOB_STATES);

function stateOf({ type }: Event): string {
  return type.replace(/^job\./, '');
}

function Entry({ event, whole }: { event: Event; whole: boolean }) {
  const state = stateOf(event);
  const from = 'from' in event.data ? event.data.from : undefined;
  return (
    <>
      <span className="event-head">
        <StateBadge state={state} size="1" />
        {from !== undefined && (
          <Text size="2" color="gray">
            after {wordOf(String(from))}
          </Text>
        )}
        <Text size="2" color="gray">
          <Time value={event.occurred_at} both={whole} />
        </Text>
      </span>
      {whole && <Details event={event} />}
    </>
  );
}

function Details({ event }: { event: Event }) {
  const details = Object.entries(event.data).filter(([name]) => name !== 'from');
  return (
    <Text as="p" size="1" color="gray" className="any-text">
      {event.type}, position {event.sequence}
      {details.map(([name, value]) => `, ${name} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)}
    </Text>
  );
}
