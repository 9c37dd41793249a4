import { Button, Flex } from '@radix-ui/themes';
import { count } from '../../lib/format.ts';
import { lookOf, TONE_COLORS, wordOf } from '../values/state-badge.tsx';

interface StateFilterProps<State extends string> {
  readonly states: readonly State[];
  /** States to which the table is reduced; an empty list means all. */
  readonly chosen: readonly State[];
  /** Number of the table's rows in each state, if known. */
  readonly counts?: Readonly<Record<string, number>>;
  /** Called with the chosen states; undefined if none is left, so that the parameter disappears from the address. */
  readonly onChange: (states: State[] | undefined) => void;
}

/** Filter of a table by state, as a row of toggle buttons. */
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
