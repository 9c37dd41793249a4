import { Cross2Icon, TriangleDownIcon } from '@radix-ui/react-icons';
import { Button, DropdownMenu, Flex, Select } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { listRollouts, type Job } from '@readapt/client';
import { client } from '../../api/client.ts';
import { counted } from '../../lib/format.ts';
import { JOB_KINDS, JOB_STATES, type JobsSearch } from '../../routes/search.ts';
import { wordOf } from '../../parts/values/state-badge.tsx';
import { useTenantNames } from '../../api/tenant-names.ts';

/** Number of rollouts, newest first, that the filter offers. The page's address can name any other. */
const OFFERED_ROLLOUTS = 50;

/** Value of the entry in a select that removes a filter. */
const ANY = 'any';

/** Filters of the list of jobs. Their state is in the address. */
export function Filters({ search }: { search: JobsSearch }) {
  const navigate = useNavigate();
  const change = (filters: JobsSearch) =>
    void navigate({ to: '.', search: (before) => ({ ...before, ...filters }), replace: true });
  const tenants = useTenantNames();
  const rollouts = useRollouts();
  return (
    <Flex gap="3" wrap="wrap" align="center" mb="3" role="group" aria-label="Filters">
      <StateFilter chosen={search.state ?? []} change={(state) => change({ state })} />
      <Choice
        label="Kind"
        any="Adaptations and controls"
        options={JOB_KINDS.map((kind) => ({ value: kind, text: `${kind}s` }))}
        value={search.kind}
        choose={(kind) => change({ kind: JOB_KINDS.find((each) => each === kind) })}
      />
      <Choice
        label="Rollout"
        any="All rollouts"
        options={rollouts}
        value={search.rollout}
        choose={(rollout) => change({ rollout })}
      />
      {tenants !== null && (
        <Choice
          label="Tenant"
          any="All tenants"
          options={[...tenants].map(([value, text]) => ({ value, text }))}
          value={search.tenant}
          choose={(tenant) => change({ tenant })}
        />
      )}
      {search.adapter !== undefined && (
        <Button variant="soft" color="gray" onClick={() => change({ adapter: undefined })}>
          <Cross2Icon aria-hidden />
          Of one adapter only
        </Button>
      )}
    </Flex>
  );
}

function useRollouts(): readonly Option[] {
  const { data } = useQuery({
    queryKey: ['rollouts', 'offered'],
    queryFn: ({ signal }) => listRollouts({ client, query: { limit: OFFERED_ROLLOUTS }, signal }),
    staleTime: 10_000,
  });
  return (data?.data ?? []).map(({ id, base_model_name: name, version }) => ({
    value: id,
    text: `${name} to version ${version}`,
  }));
}

function StateFilter({ chosen, change }: { chosen: Job['state'][]; change: (states?: Job['state'][]) => void }) {
  const toggle = (state: Job['state'], on: boolean) => {
    const next = JOB_STATES.filter((each) => (each === state ? on : chosen.includes(each)));
    change(next.length === 0 ? undefined : next);
  };
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger>
        <Button variant="surface" color="gray">
          {textOf(chosen)}
          <TriangleDownIcon aria-hidden />
        </Button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Content>
        {JOB_STATES.map((state) => (
          <DropdownMenu.CheckboxItem
            key={state}
            checked={chosen.includes(state)}
            onCheckedChange={(on) => toggle(state, on === true)}
            // Keeps the menu open, so that several states can be chosen.
            onSelect={(event) => event.preventDefault()}
          >
            {wordOf(state)}
          </DropdownMenu.CheckboxItem>
        ))}
        <DropdownMenu.Separator />
        <DropdownMenu.Item onSelect={() => change(undefined)}>In any state</DropdownMenu.Item>
      </DropdownMenu.Content>
    </DropdownMenu.Root>
  );
}

function textOf(chosen: readonly Job['state'][]): string {
  if (chosen.length === 0) return 'In any state';
  return chosen.length > 2 ? `In ${counted(chosen.length, 'state')}` : chosen.map(wordOf).join(', ');
}

interface Option {
  readonly value: string;
  readonly text: string;
}

interface ChoiceProps {
  readonly label: string;
  /** Text of the entry that removes the filter, such as all states. */
  readonly any: string;
  readonly options: readonly Option[];
  readonly value: string | undefined;
  readonly choose: (value: string | undefined) => void;
}

function Choice({ label, any, options, value, choose }: ChoiceProps) {
  const isOffered = value === undefined || options.some((option) => option.value === value);
  return (
    <Select.Root value={value ?? ANY} onValueChange={(chosen) => choose(chosen === ANY ? undefined : chosen)}>
      <Select.Trigger aria-label={label} />
      <Select.Content>
        <Select.Item value={ANY}>{any}</Select.Item>
        {!isOffered && <Select.Item value={value}>{value}</Select.Item>}
        {options.map(({ value: id, text }) => (
          <Select.Item key={id} value={id}>
            {text}
          </Select.Item>
        ))}
      </Select.Content>
    </Select.Root>
  );
}
