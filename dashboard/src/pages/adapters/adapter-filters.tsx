import { Badge, Button, Flex, Text, TextField } from '@radix-ui/themes';
import { Cross2Icon } from '@radix-ui/react-icons';
import { useId, useState, type FormEvent } from 'react';
import { BaseVersionLink } from '../../parts/values/base-version-link.tsx';

interface Search {
  readonly name?: string;
  readonly label?: string;
  readonly on?: string;
  readonly notOn?: string;
  readonly atRiskOn?: string;
}

interface AdapterFiltersProps {
  readonly search: Search;
  readonly change: (changed: Search) => void;
}

const BY_VERSION = {
  on: 'can be served on',
  notOn: 'cannot be served on',
  atRiskOn: 'are at risk when it retires:',
} as const;

/** Filters of the list of adapters. Names and labels must match as a whole. */
export function AdapterFilters({ search, change }: AdapterFiltersProps) {
  const [name, setName] = useState(search.name ?? '');
  const [label, setLabel] = useState(search.label ?? '');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change({ name: name.trim() || undefined, label: label.trim() || undefined });
  };
  const byVersion = (Object.keys(BY_VERSION) as (keyof typeof BY_VERSION)[]).filter((key) => search[key] !== undefined);
  return (
    <Flex direction="column" gap="3" mb="4">
      <form onSubmit={submit}>
        <Flex gap="3" align="end" wrap="wrap">
          <Field label="Name" value={name} set={setName} placeholder="the whole name" />
          <Field label="Label" value={label} set={setLabel} placeholder="key:value" />
          <Button type="submit" variant="soft">
            Find
          </Button>
        </Flex>
      </form>
      {byVersion.map((key) => (
        <Text as="p" size="2" key={key}>
          <Badge color="gray" highContrast size="2">
            {BY_VERSION[key]} <BaseVersionLink id={search[key]!} />
          </Badge>{' '}
          <Button variant="ghost" size="1" onClick={() => change({ [key]: undefined })}>
            <Cross2Icon aria-hidden /> Show others as well
          </Button>
        </Text>
      ))}
    </Flex>
  );
}

interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly set: (value: string) => void;
  readonly placeholder: string;
}

function Field({ label, value, set, placeholder }: FieldProps) {
  const id = useId();
  return (
    <div>
      <Text as="label" size="2" htmlFor={id}>
        {label}
      </Text>
      <TextField.Root id={id} value={value} placeholder={placeholder} onChange={({ target }) => set(target.value)} />
    </div>
  );
}
