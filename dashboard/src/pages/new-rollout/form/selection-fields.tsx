import { Cross2Icon } from '@radix-ui/react-icons';
import { Button, Flex, Text, TextField } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { listTenants } from '@readapt/client';
import { useId, useState } from 'react';
import { client } from '../../../api/client.ts';
import { Section } from '../../../parts/layout/section.tsx';
import { Field, TextAreaInput, TextInput } from './fields.tsx';
import { useForm } from './form-context.ts';

const tenantsQuery = {
  queryKey: ['tenants', 'to-choose'],
  queryFn: ({ signal }: { signal: AbortSignal }) => listTenants({ client, query: { limit: 200 }, signal }),
};

/** Fields that select the adapters of the rollout. If they are empty, the rollout takes all adapters. */
export function SelectionFields() {
  return (
    <Section title="Which adapters">
      <Text as="p" size="2" color="gray">
        Left empty, the rollout takes every adapter of the base model that has no version for the new one. Tenants and
        adapters add up, and labels narrow that down.
      </Text>
      <TenantsField />
      <TextAreaInput
        name="adapters"
        label="Adapters"
        error="policy.selection.adapters"
        placeholder="adp_…"
        help="Identifiers, apart by spaces, commas or lines."
      />
      <TextInput
        name="labels"
        label="With all of these labels"
        error="policy.selection.labels"
        placeholder="tier=gold, team=search"
      />
    </Section>
  );
}

/**
 * Field for tenants by name or identifier. It knows the names of the newest 200 tenants; others have to be entered by
 * identifier.
 */
function TenantsField() {
  const { draft, change } = useForm();
  const tenants = useQuery(tenantsQuery).data?.data ?? [];
  const [text, setText] = useState('');
  const list = useId();
  const nameOf = (id: string) => tenants.find((tenant) => tenant.id === id)?.name ?? id;
  const add = () => {
    const id = tenants.find(({ name }) => name === text.trim())?.id ?? text.trim();
    if (id !== '' && !draft.tenants.includes(id)) change({ tenants: [...draft.tenants, id] });
    setText('');
  };
  return (
    <Field label="Tenants" error="policy.selection.tenants" help="A name or an identifier, one at a time.">
      {(attributes) => (
        <Flex direction="column" gap="2">
          <Flex gap="2">
            <TextField.Root
              {...attributes}
              className="grows"
              list={list}
              value={text}
              onChange={({ target }) => setText(target.value)}
              onKeyDown={(event) => {
                if (event.key !== 'Enter') return;
                event.preventDefault();
                add();
              }}
            />
            <Button type="button" variant="soft" onClick={add} disabled={text.trim() === ''}>
              Add
            </Button>
          </Flex>
          <datalist id={list}>
            {tenants.map(({ id, name }) => (
              <option key={id} value={name} />
            ))}
          </datalist>
          {draft.tenants.length > 0 && (
            <Flex gap="2" wrap="wrap">
              {draft.tenants.map((id) => (
                <Button
                  key={id}
                  type="button"
                  size="1"
                  variant="surface"
                  aria-label={`Take ${nameOf(id)} away`}
                  onClick={() => change({ tenants: draft.tenants.filter((other) => other !== id) })}
                >
                  {nameOf(id)} <Cross2Icon aria-hidden />
                </Button>
              ))}
            </Flex>
          )}
        </Flex>
      )}
    </Field>
  );
}
