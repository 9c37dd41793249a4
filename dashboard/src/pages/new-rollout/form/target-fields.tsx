import { Callout, Flex, Grid, SegmentedControl } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { listBaseModelVersions, type BaseModel } from '@readapt/client';
import { useEffect } from 'react';
import { client } from '../../../api/client.ts';
import { Section } from '../../../parts/layout/section.tsx';
import { SelectInput, TextInput } from './fields.tsx';
import { useForm } from './form-context.ts';
import { modelsQuery } from './models-query.ts';

/** Base models that the form offers, the newest 200; empty until they are loaded. */
export function useBaseModels(): readonly BaseModel[] {
  return useQuery(modelsQuery).data?.data ?? [];
}

const versionsQuery = (model: string) => ({
  queryKey: ['base-model-versions', model],
  queryFn: ({ signal }: { signal: AbortSignal }) =>
    listBaseModelVersions({ client, path: { model }, query: { limit: 200 }, signal }),
  enabled: model !== '',
});

/** Fields for the target of the rollout: a registered version, or a new one that the request registers. */
export function TargetFields() {
  const { draft, change } = useForm();
  const models = useBaseModels();
  return (
    <Section title="To which version">
      <SelectInput
        name="baseModel"
        label="Base model"
        error="base_model"
        options={[['', 'choose …'], ...models.map(({ name }) => [name, name] as const)]}
      />
      <SegmentedControl.Root
        value={draft.target}
        onValueChange={(target) => change({ target: target as 'existing' | 'new' })}
        aria-label="Which version"
        className="clock-choice"
      >
        <SegmentedControl.Item value="existing">Registered version</SegmentedControl.Item>
        <SegmentedControl.Item value="new">New version</SegmentedControl.Item>
      </SegmentedControl.Root>
      {draft.target === 'existing' ? <ExistingVersion /> : <NewVersion />}
      <SelectInput
        name="strategy"
        label="Strategy"
        error="strategy"
        help={
          'How adapters are carried over. Automatically tries what needs no training first, ' +
          'and stops at the first that passes the gate of the adapter.'
        }
        options={[
          ['', 'as the service chooses (automatically)'],
          ['auto', 'automatically'],
          ['reuse', 'reuse: the adapters as they are'],
          ['revert', 'revert: undo the change of the base'],
          ['relora', 'relora: search what to keep, then train'],
          ['relora-paper', 'relora-paper: the published method'],
          ['warm-start', 'warm-start: train on from the old adapter'],
          ['scratch', 'scratch: train anew'],
        ]}
      />
    </Section>
  );
}

function ExistingVersion() {
  const { draft, change } = useForm();
  const { data } = useQuery(versionsQuery(draft.baseModel));
  const versions = data?.data ?? [];
  const newest = versions[0]?.id;
  const isMissing = draft.versionId !== '' && !versions.some(({ id }) => id === draft.versionId);
  const isChosen = draft.versionId !== '';
  // Preselects the newest version, which most readers want, but never replaces a choice.
  useEffect(() => {
    if (newest !== undefined && !isChosen) change({ versionId: newest });
  }, [newest, isChosen, change]);
  return (
    <SelectInput
      name="versionId"
      label="Version"
      error="base_model_version_id"
      help="Adapters that have no version for it yet are carried over."
      options={[
        ['', 'choose …'],
        ...(isMissing ? [[draft.versionId, draft.versionId] as const] : []),
        ...versions.map(({ id, version, state }) => [id, labelOf(version, state)] as const),
      ]}
    />
  );
}

function labelOf(version: string, state: string): string {
  return state === 'verified' ? version : `${version} (${state === 'failed' ? 'cannot be used' : 'not verified yet'})`;
}

function NewVersion() {
  return (
    <Flex direction="column" gap="3">
      <Callout.Root size="1" color="gray" variant="surface" highContrast>
        <Callout.Text>
          The dry run registers the version as well, because the files have to be read for it. It begins no rollout.
        </Callout.Text>
      </Callout.Root>
      <Grid columns={{ initial: '1', sm: '2' }} gap="3">
        <TextInput name="version" label="Name of the version" error="version" placeholder="3" />
        <TextInput
          name="servingName"
          label="Serving name"
          error="serving_name"
          placeholder="the path"
          help="What serving engines call it, where that is not the path."
        />
      </Grid>
      <TextInput
        name="path"
        label="Folder of the model"
        error="path"
        placeholder="/models/my-llama-v3"
        help="Absolute path of a Hugging Face folder on the machines of the service."
      />
    </Flex>
  );
}
