import { Button, Flex } from '@radix-ui/themes';
import { count } from '../../lib/format.ts';
import { lookOf, TONE_COLORS, wordOf } from '../values/state-badge.tsx';

interface StateFilterProps<State extends string> {
  readonly states: readonly State[];
  /** Those that are chosen; none is the same as all. */
  readonly chosen: readonly State[];
  /** How many are in each state, where it is known. */
  readonly counts?: Readonly<Record<string, number>>;
  /** Gets undefined where none is left, so that the address says nothing of states. */
  readonly onChange: (states: State[] | undefined) => void;
}

/** Which states a table shows, as buttons that stay pressed. */
export function StateFilter<State extends string>({ states, chosen, counts, onChange }: StateFilterProps<State>) {
  const toggle = (state: State) => {
    const next = chosen.includes(state) ? chosen.filter((other) => other !== state) : [...chosen, state];
    onChange(next.length === 0 ? undefined : next);
  };
  return (
    <Flex gap="2" wrap="wrap" role="group" aria-label="States">
      {states.map((state) => (
        <Button
          key={state}
          size="1"
          highContrast
          variant={chosen.includes(state) ? 'solid' : 'outline'}
          color={chosen.includes(state) ? undefined : TONE_COLORS[lookOf(state).tone]}
          aria-pressed={chosen.includes(state)}
          onClick={() => toggle(state)}
        >
          {wordOf(state)} {counts !== undefined && count(counts[state] ?? 0)}
        </Button>
      ))}
    </Flex>
  );
}
