import { Flex, Text } from '@radix-ui/themes';
import { count } from '../../lib/format.ts';
import { lookOf, STATE_ORDER, TONE_COLORS, wordOf } from './state-badge.tsx';

interface StateBarProps {
  /** Number of objects in each state. */
  readonly counts: Readonly<Record<string, number>>;
  /** Name of the counted objects in the plural: `jobs`. */
  readonly of: string;
}

/** Stacked bar of the number of objects in each state, with the same numbers in words. */
export function StateBar({ counts, of }: StateBarProps) {
  const parts = Object.entries(counts)
    .filter(([, number]) => number > 0)
    .sort(([a], [b]) => STATE_ORDER.indexOf(a) - STATE_ORDER.indexOf(b));
  const total = parts.reduce((sum, [, number]) => sum + number, 0);
  const words = parts.map(([state, number]) => `${count(number)} ${wordOf(state)}`).join(', ');
  return (
    <Flex direction="column" gap="1">
      <div role="img" aria-label={`${count(total)} ${of}: ${words === '' ? 'none' : words}`} className="state-bar">
        {parts.map(([state, number]) => (
          <span
            key={state}
            style={{ flexGrow: number, backgroundColor: `var(--${TONE_COLORS[lookOf(state).tone]}-9)` }}
            className={`state-bar-${lookOf(state).tone}`}
          />
        ))}
      </div>
      <Text size="1" color="gray" aria-hidden>
        {words === '' ? `no ${of}` : words}
      </Text>
    </Flex>
  );
}
