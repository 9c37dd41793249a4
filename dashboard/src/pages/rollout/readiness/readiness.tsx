import { Card, Flex, SegmentedControl, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import type { Rollout, TtrDistribution } from '@readapt/client';
import { duration } from '../../../lib/format.ts';
import { useChangeOfSearch } from '../../../lib/use-change-of-search.ts';
import { Empty, Loaded } from '../../../parts/feedback/loaded.tsx';
import { Section } from '../../../parts/layout/section.tsx';
import type { RolloutSearch } from '../../../routes/search.ts';
import { ttrQuery } from '../rollout-queries.ts';
import { ReadinessChart, type Clock } from './readiness-chart.tsx';
import { SpeedUp } from './speed-up.tsx';

/** Times to readiness of the adapters, compared with their controls. */
export function Readiness({ rollout }: { rollout: Rollout }) {
  const query = useQuery(ttrQuery(rollout));
  return (
    <Section title="Time to readiness">
      <Loaded query={query} what="the times to readiness" height={360}>
        {(distribution) => <Distribution distribution={distribution} rollout={rollout} />}
      </Loaded>
    </Section>
  );
}

function Distribution({ distribution, rollout }: { distribution: TtrDistribution; rollout: Rollout }) {
  const { clock: chosen } = useSearch({ from: '/shell/rollouts/$rolloutId' });
  const { adaptations, controls } = distribution;
  if (adaptations.ready === 0) {
    return (
      <Empty title="No adapter is ready yet.">
        Once the first one is, this shows how long adapters take from the moment at which the new version was accepted
        until they can be served.
      </Empty>
    );
  }
  const clock = chosen ?? (controls.ready > 0 ? 'working' : 'all');
  return (
    <Card size="2">
      <Flex direction="column" gap="4">
        <SpeedUp distribution={distribution} rollout={rollout} />
        <ClockChoice clock={clock} />
        <ReadinessChart distribution={distribution} clock={clock} />
        <Median rollout={rollout} />
      </Flex>
    </Card>
  );
}

function ClockChoice({ clock }: { clock: Clock }) {
  const change = useChangeOfSearch<RolloutSearch>();
  return (
    <SegmentedControl.Root
      value={clock}
      onValueChange={(value) => change({ clock: value as Clock })}
      size="1"
      aria-label="Which time the chart shows"
      className="clock-choice"
    >
      <SegmentedControl.Item value="working">Work alone</SegmentedControl.Item>
      <SegmentedControl.Item value="all">With waiting</SegmentedControl.Item>
    </SegmentedControl.Root>
  );
}

function Median({ rollout: { summary } }: { rollout: Rollout }) {
  if (summary.median_ttr_ms === null) return null;
  return (
    <Text as="p" size="2" color="gray">
      With all waiting, half of the ready adapters could be served within {duration(summary.median_ttr_ms)} after the
      new version was accepted
      {summary.makespan_ms !== null && `, and the last adaptation ended after ${duration(summary.makespan_ms)}`}.
    </Text>
  );
}
