import { ChevronDownIcon } from '@radix-ui/react-icons';
import { Button, DropdownMenu, Flex, Select, Text, TextField } from '@radix-ui/themes';
import type { JobFilter, Rollout } from '@readapt/client';
import { useId, useState, type ReactNode } from 'react';
import { parseLabels } from '../../../lib/labels.ts';
import { ConfirmDialog } from '../../../parts/actions/confirm-dialog.tsx';
import { wordOf } from '../../../parts/values/state-badge.tsx';
import { STRATEGIES, type RolloutSearch } from '../../../routes/search.ts';
import type { TenantChoice } from './job-filters.tsx';
import { ACTIONS, useChangeOfMany, type Action } from './change-of-many.ts';
import { Preview } from './preview.tsx';

/** Value of the entry in a select that keeps each job's strategy. A select allows no empty value. */
const SAME = 'same';

interface ManyJobsProps {
  readonly rollout: Rollout;
  readonly search: RolloutSearch;
  readonly tenants: readonly TenantChoice[];
}

/** Menu for changing all jobs that match the table's filter, labels and error codes, after a preview. */
export function ManyJobs(props: ManyJobsProps) {
  const [action, setAction] = useState<Action | null>(null);
  return (
    <>
      <DropdownMenu.Root>
        <DropdownMenu.Trigger>
          <Button variant="soft">
            Change many jobs <ChevronDownIcon aria-hidden />
          </Button>
        </DropdownMenu.Trigger>
        <DropdownMenu.Content>
          {actionsOf(props.rollout).map((each) => (
            <DropdownMenu.Item
              key={each}
              color={each === 'cancel' ? 'red' : undefined}
              onSelect={() => setAction(each)}
            >
              {ACTIONS[each].verb} jobs by a filter …
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Root>
      {action !== null && <ManyDialog {...props} action={action} onClose={() => setAction(null)} />}
    </>
  );
}

function actionsOf({ state }: Rollout): Action[] {
  if (state === 'failed' || state === 'cancelled') return [];
  return state === 'completed' ? ['retry'] : ['pause', 'resume', 'cancel', 'retry'];
}

function ManyDialog({
  rollout,
  search,
  tenants,
  action,
  onClose,
}: ManyJobsProps & { action: Action; onClose: () => void }) {
  const [labels, setLabels] = useState('');
  const [code, setCode] = useState('');
  const [strategy, setStrategy] = useState<string>(SAME);
  const parsed = parseLabels(labels);
  const filter = { ...filterOf(search, code), ...(parsed.labels !== null && { labels: parsed.labels }) };
  const body = { filter, ...(action === 'retry' && strategy !== SAME && { options: { strategy } }) };
  const { preview, run } = useChangeOfMany({ rolloutId: rollout.id, action, body, isValid: parsed.error === null });
  const { verb } = ACTIONS[action];
  const changed = preview.data?.changed ?? 0;
  return (
    <ConfirmDialog
      label={preview.data === undefined ? `${verb} jobs` : `${verb} ${changed} ${changed === 1 ? 'job' : 'jobs'}`}
      question={`${verb} jobs by a filter`}
      color={action === 'cancel' ? 'red' : undefined}
      possible={changed > 0 && !preview.isFetching}
      run={run}
      onClose={onClose}
    >
      <Flex direction="column" gap="3">
        <Text as="p">{ACTIONS[action].text}</Text>
        <Text as="p">
          From the filter of the table: <strong>{inWords(search, tenants)}</strong>. Adaptations and controls alike,
          whichever of them the table shows.
        </Text>
        <Field label="Only adapters with these labels" error={parsed.error} placeholder="tier=gold, team=search">
          {(field) => <TextField.Root {...field} value={labels} onChange={(event) => setLabels(event.target.value)} />}
        </Field>
        <Field label="Only with this code of an error" error={null} placeholder="gate_not_reached">
          {(field) => <TextField.Root {...field} value={code} onChange={(event) => setCode(event.target.value)} />}
        </Field>
        {action === 'retry' && <Strategy value={strategy} onChange={setStrategy} />}
        <Preview query={preview} action={action} />
      </Flex>
    </ConfirmDialog>
  );
}

function Strategy({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <Flex direction="column" gap="1" align="start">
      <Text size="2" weight="medium">
        Strategy
      </Text>
      <Select.Root value={value} onValueChange={onChange}>
        <Select.Trigger aria-label="Strategy" />
        <Select.Content>
          <Select.Item value={SAME}>the one that each job has</Select.Item>
          {STRATEGIES.map((name) => (
            <Select.Item key={name} value={name}>
              {name}
            </Select.Item>
          ))}
        </Select.Content>
      </Select.Root>
    </Flex>
  );
}

interface FieldProps {
  readonly label: string;
  readonly error: string | null;
  readonly placeholder: string;
  readonly children: (field: { id: string; placeholder: string; 'aria-invalid': boolean }) => ReactNode;
}

function Field({ label, error, placeholder, children }: FieldProps) {
  const id = useId();
  return (
    <Flex direction="column" gap="1">
      <Text as="label" size="2" weight="medium" htmlFor={id}>
        {label}
      </Text>
      {children({ id, placeholder, 'aria-invalid': error !== null })}
      {error !== null && (
        <Text size="1" color="red" role="alert">
          {error}
        </Text>
      )}
    </Flex>
  );
}

function filterOf({ state, tenant }: RolloutSearch, code: string): JobFilter {
  return {
    ...(state !== undefined && { states: state }),
    ...(tenant !== undefined && { tenants: [tenant] }),
    ...(code.trim() !== '' && { error_codes: [code.trim()] }),
  };
}

function inWords({ state, tenant }: RolloutSearch, tenants: readonly TenantChoice[]): string {
  const states = state === undefined ? 'jobs in any state' : `jobs that are ${state.map(wordOf).join(' or ')}`;
  if (tenant === undefined) return states;
  return `${states}, of ${tenants.find(({ id }) => id === tenant)?.name ?? tenant}`;
}
