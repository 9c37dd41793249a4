import { Box, Flex, Select, Text, TextField } from '@radix-ui/themes';
import type { Job, RetryJob } from '@readapt/client';
import { useId } from 'react';
import { STRATEGIES } from '../../../routes/search.ts';

type Options = NonNullable<RetryJob['options']>;
type NumberName = 'max_steps' | 'learning_rate' | 'search_evaluations';

/** Options entered for a retry. Numbers stay text as typed, so that digits do not jump while typing. */
export type RetryForm = { readonly [Name in keyof Options]?: Options[Name] | string };

/** Value of the entry in a select that keeps the option of the rollout. */
const OF_ROLLOUT = 'of-rollout';

const NUMBERS: readonly { readonly name: NumberName; readonly label: string; readonly hint: string }[] = [
  { name: 'max_steps', label: 'Most steps of training', hint: 'A tenant may not ask for more than the rollout does.' },
  {
    name: 'learning_rate',
    label: 'Peak learning rate',
    hint: 'Lower it where a training has diverged, for example 0.0001.',
  },
  {
    name: 'search_evaluations',
    label: 'Points that the search measures',
    hint: 'More of them find better coefficients; 0 leaves the search out.',
  },
];

/** Converts the entered options to those of the API. Empty fields are left out, so that the rollout's options apply. */
export function optionsOf(form: RetryForm): Options {
  const given = Object.entries(form).filter(([, value]) => value !== undefined && value !== '');
  const numeric = new Set<string>(NUMBERS.map(({ name }) => name));
  return Object.fromEntries(given.map(([name, value]) => [name, numeric.has(name) ? Number(value) : value]));
}

interface RetryFieldsProps {
  readonly job: Job;
  readonly form: RetryForm;
  readonly change: (fields: RetryForm) => void;
}

/** Fields for options of the retried job. A control has no strategy field: it always trains from scratch. */
export function RetryFields({ job, form, change }: RetryFieldsProps) {
  return (
    <Flex direction="column" gap="3" asChild>
      <fieldset className="plain-fieldset">
        <legend>
          <Text size="2" weight="medium">
            Options of its own, in place of those of the rollout
          </Text>
        </legend>
        {job.kind === 'adaptation' && <StrategyField value={form.strategy} change={change} />}
        {NUMBERS.map(({ name, label, hint }) => (
          <NumberField
            key={name}
            label={label}
            hint={hint}
            value={form[name]}
            change={(text) => change({ [name]: text })}
          />
        ))}
      </fieldset>
    </Flex>
  );
}

function StrategyField({ value, change }: { value: RetryForm['strategy']; change: RetryFieldsProps['change'] }) {
  const id = useId();
  const choose = (chosen: string) => change({ strategy: STRATEGIES.find((strategy) => strategy === chosen) });
  return (
    <Box>
      <Text as="label" htmlFor={id} size="2">
        Strategy
      </Text>
      <Flex mt="1">
        <Select.Root value={value ?? OF_ROLLOUT} onValueChange={choose}>
          <Select.Trigger id={id} />
          <Select.Content>
            <Select.Item value={OF_ROLLOUT}>That of the rollout</Select.Item>
            {STRATEGIES.map((strategy) => (
              <Select.Item key={strategy} value={strategy}>
                {strategy}
              </Select.Item>
            ))}
          </Select.Content>
        </Select.Root>
      </Flex>
    </Box>
  );
}

interface NumberFieldProps {
  readonly label: string;
  readonly hint: string;
  readonly value: number | string | undefined;
  readonly change: (text: string) => void;
}

function NumberField({ label, hint, value, change }: NumberFieldProps) {
  const id = useId();
  return (
    <Box>
      <Text as="label" htmlFor={id} size="2">
        {label}
      </Text>
      <TextField.Root
        id={id}
        type="number"
        inputMode="decimal"
        step="any"
        min="0"
        placeholder="as in the rollout"
        value={value ?? ''}
        onChange={(event) => change(event.target.value)}
        aria-describedby={`${id}-hint`}
        mt="1"
      />
      <Text as="p" id={`${id}-hint`} size="1" color="gray" mt="1">
        {hint}
      </Text>
    </Box>
  );
}
