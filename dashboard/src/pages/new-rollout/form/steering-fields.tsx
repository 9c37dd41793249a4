import { Grid, RadioGroup, Text } from '@radix-ui/themes';
import { Section } from '../../../parts/layout/section.tsx';
import { SelectInput, TextInput } from './fields.tsx';
import { useForm } from './form-context.ts';
import { SelectionFields } from './selection-fields.tsx';
import { WaveFields } from './wave-fields.tsx';

const TWO = { initial: '1', sm: '2' } as const;

/** Choice between the base model's policy and one of the rollout's own, with the fields of the latter. */
export function SteeringFields() {
  const { draft, change } = useForm();
  return (
    <>
      {draft.baseModelHasPolicy && (
        <Section title="Policy">
          <RadioGroup.Root
            value={draft.steering}
            onValueChange={(steering) => change({ steering: steering as 'base_model' | 'own' })}
            aria-label="Policy"
          >
            <RadioGroup.Item value="base_model">That of the base model</RadioGroup.Item>
            <RadioGroup.Item value="own">A policy of this rollout, in the place of all of it</RadioGroup.Item>
          </RadioGroup.Root>
        </Section>
      )}
      {draft.steering === 'own' && (
        <>
          <SelectionFields />
          <WaveFields />
          <PauseFields />
          <LimitFields />
        </>
      )}
    </>
  );
}

function PauseFields() {
  return (
    <Section title="When it stops itself">
      <Text as="p" size="2" color="gray">
        Each wave is judged when its jobs have ended. Somebody then resumes or cancels the rollout.
      </Text>
      <Grid columns={TWO} gap="3">
        <TextInput
          name="unreadyShare"
          label="Not ready or failed, more than"
          error="policy.pause_if.unready_share"
          unit="%"
          digits
        />
        <TextInput
          name="negativeFlips"
          label="Negative flips, more than"
          error="policy.pause_if.negative_flips"
          help="Rows that the old version has right and the new one has wrong."
          unit="%"
          digits
        />
        <TextInput
          name="metricDrop"
          label="Metric worse on average by more than"
          error="policy.pause_if.metric_drop"
          placeholder="0.01"
          digits
        />
        <TextInput
          name="minJobs"
          label="Judge once so many jobs have ended"
          error="policy.pause_if.min_jobs"
          placeholder="5"
          digits
        />
      </Grid>
    </Section>
  );
}

function LimitFields() {
  return (
    <Section title="Order and limits">
      <Grid columns={TWO} gap="3">
        <OrderFields />
        <CostFields />
        <OverlapFields />
      </Grid>
    </Section>
  );
}

function OrderFields() {
  return (
    <>
      <SelectInput
        name="priority"
        label="Priority"
        error="policy.priority"
        options={[
          ['', 'normal'],
          ['high', 'high'],
          ['low', 'low'],
        ]}
      />
      <TextInput
        name="concurrency"
        label="Most jobs at a time"
        error="policy.concurrency"
        placeholder="as many as there are workers"
        digits
      />
      <TextInput name="deadline" label="Deadline" error="policy.deadline" type="datetime-local" />
    </>
  );
}

function CostFields() {
  return (
    <>
      <TextInput
        name="budget"
        label="Budget of device time"
        error="policy.budget_device_seconds"
        unit="seconds"
        help="It pauses when they are used up."
        digits
      />
      <TextInput
        name="controlFraction"
        label="Controls"
        error="policy.control_fraction"
        unit="%"
        help="Share of the adapters that are also trained from scratch, to measure the speed-up."
        digits
      />
      <SelectInput
        name="provisional"
        label="Provisional versions"
        error="policy.provisional"
        help="Served until the real one is published. Nobody measures them."
        options={[
          ['', 'none'],
          ['revert', 'revert: the change of the base undone'],
          ['reuse', 'reuse: a copy of the adapter'],
        ]}
      />
    </>
  );
}

/** Fields on what happens when the rollout overlaps with other rollouts or with imports. */
function OverlapFields() {
  return (
    <>
      <SelectInput
        name="supersede"
        label="Jobs to older versions that run"
        error="policy.supersede"
        options={[
          ['', 'as the service chooses'],
          ['finish', 'may finish, and are waited for'],
          ['stop', 'are stopped'],
        ]}
      />
      <SelectInput
        name="late"
        label="Adapters that are imported meanwhile"
        error="policy.late"
        options={[
          ['', 'as the service chooses'],
          ['join', 'join this rollout'],
          ['next', 'wait for the next one'],
        ]}
      />
    </>
  );
}
