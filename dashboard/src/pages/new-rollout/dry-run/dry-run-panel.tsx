import { Button, Callout, Card, Flex, Text } from '@radix-ui/themes';
import type { RolloutForecast } from '@readapt/client';
import { ProblemCallout } from '../../../parts/feedback/problem-callout.tsx';
import { Loaded } from '../../../parts/feedback/loaded.tsx';
import { Section } from '../../../parts/layout/section.tsx';
import { DryRunOutcome } from './outcome.tsx';

interface DryRunPanelProps {
  readonly id: string | null;
  readonly query: {
    readonly data: RolloutForecast | undefined;
    readonly error: unknown;
    readonly refetch: () => unknown;
  };
  readonly ask: () => unknown;
  readonly isAsking: boolean;
  readonly error: unknown;
  readonly isStale: boolean;
}

/** Panel that requests a dry run of the form's rollout and shows its outcome. */
export function DryRunPanel({ id, query, ask, isAsking, error, isStale }: DryRunPanelProps) {
  return (
    <Section title="Dry run">
      <Card size="2">
        <Flex direction="column" gap="3" align="stretch">
          <Text as="p" size="2">
            Says who is taken and who is not, what it costs and when it ends. Nothing that is served changes.
          </Text>
          <Button type="button" variant="soft" loading={isAsking} onClick={() => void ask()} className="clock-choice">
            {id === null ? 'Try it without beginning' : 'Try again'}
          </Button>
          {error !== null && <ProblemCallout error={error} />}
          {id !== null && isStale && (
            <Callout.Root color="amber" size="1" role="status" highContrast>
              <Callout.Text>
                What is in the form may differ from what this was asked about. Try again to see what it would do now.
              </Callout.Text>
            </Callout.Root>
          )}
          {id !== null && (
            <Loaded query={query} what="the dry run">
              {(forecast) => <DryRunOutcome forecast={forecast} />}
            </Loaded>
          )}
        </Flex>
      </Card>
    </Section>
  );
}
