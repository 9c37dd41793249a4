import { Badge, Flex } from '@radix-ui/themes';
import type { Rollout } from '@readapt/client';
import { StateBadge } from './state-badge.tsx';

interface RolloutBadgeProps {
  readonly rollout: Pick<Rollout, 'state' | 'rolled_back_at'>;
  readonly size?: '1' | '3';
}

/** Badges with a rollout's state and whether it was rolled back. */
export function RolloutBadge({ rollout: { state, rolled_back_at: rolledBack }, size = '1' }: RolloutBadgeProps) {
  if (rolledBack === null) return <StateBadge state={state} size={size} />;
  return (
    <Flex as="span" display="inline-flex" gap="1" wrap="wrap">
      <StateBadge state={state} size={size} />
      <Badge size={size} color="amber" highContrast className="state-badge">
        rolled back
      </Badge>
    </Flex>
  );
}
