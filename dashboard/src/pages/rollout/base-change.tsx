import { Card, Flex, Text } from '@radix-ui/themes';
import { Link } from '@tanstack/react-router';
import type { Rollout } from '@readapt/client';
import { percent } from '../../lib/format.ts';
import { ADVICE } from '../../lib/advice.ts';
import { Section } from '../../parts/layout/section.tsx';
import { BaseVersionLink } from '../../parts/values/base-version-link.tsx';
import { StateBadge } from '../../parts/values/state-badge.tsx';

/** Changes of the base model since each version that adapters come from, with advice for their adapters. */
export function BaseChange({ rollout: { evolutions, base_model_version_id: versionId } }: { rollout: Rollout }) {
  if (evolutions.length === 0) return null;
  return (
    <Section
      title="What changed in the base model"
      aside={
        <Link to="/base-model-versions/$versionId" params={{ versionId }} className="plain-link">
          Look at the new version
        </Link>
      }
    >
      {evolutions.map((evolution) => (
        <Card key={evolution.old_base_model_version_id} size="2">
          <Evolution evolution={evolution} />
        </Card>
      ))}
    </Section>
  );
}

function Evolution({ evolution }: { evolution: Rollout['evolutions'][number] }) {
  const { old_base_model_version_id: oldId, state, drift, advice } = evolution;
  return (
    <Flex direction="column" gap="2">
      <Flex gap="3" align="center" wrap="wrap">
        <Text as="p" size="2">
          From <BaseVersionLink id={oldId} />:{' '}
          {drift === null ? 'the change is not measured yet' : `the weights moved by ${percent(drift)} of their size`}
        </Text>
        {state !== 'ready' && <StateBadge state={state} size="1" />}
      </Flex>
      {advice !== null && (
        <Text as="p" size="2">
          {ADVICE[advice.verdict]}: {advice.reasons.map(({ message }) => message).join('; ')}.
        </Text>
      )}
    </Flex>
  );
}
