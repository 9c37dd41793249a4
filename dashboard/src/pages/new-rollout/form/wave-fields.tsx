import { PlusIcon, TrashIcon } from '@radix-ui/react-icons';
import { Button, Flex, IconButton, Text, TextField } from '@radix-ui/themes';
import { Section } from '../../../parts/layout/section.tsx';
import type { WaveDraft } from '../request/draft.ts';
import { Field, SelectInput, TextInput } from './fields.tsx';
import { useForm } from './form-context.ts';

const HINTS: Readonly<Record<WaveDraft['kind'], string>> = { percent: '10', count: '5', label: 'tier=internal' };

/** Fields for all waves except the last one, which takes the remaining adapters. */
export function WaveFields() {
  const { draft, change } = useForm();
  const set = (index: number, wave: WaveDraft) =>
    change({ waves: draft.waves.map((each, place) => (place === index ? wave : each)) });
  return (
    <Section title="Waves">
      <Text as="p" size="2" color="gray">
        A few adapters first: the jobs of a wave begin when those of the wave before have ended. All adapters that are
        in none of them are the last wave.
      </Text>
      {draft.waves.map((wave, index) => (
        <WaveField
          key={index}
          index={index}
          wave={wave}
          onChange={(next) => set(index, next)}
          onRemove={() => change({ waves: draft.waves.filter((_, place) => place !== index) })}
        />
      ))}
      <Button
        type="button"
        variant="soft"
        className="clock-choice"
        onClick={() => change({ waves: [...draft.waves, { kind: 'percent', value: '' }] })}
      >
        <PlusIcon aria-hidden /> Add a wave
      </Button>
      {draft.waves.length > 0 && <Approval />}
    </Section>
  );
}

interface WaveFieldProps {
  readonly index: number;
  readonly wave: WaveDraft;
  readonly onChange: (wave: WaveDraft) => void;
  readonly onRemove: () => void;
}

function WaveField({ index, wave, onChange, onRemove }: WaveFieldProps) {
  const name = index === 0 ? 'Wave 1, the canary' : `Wave ${index + 1}`;
  return (
    <Field label={name} error={`policy.waves.${index}`}>
      {(attributes) => (
        <Flex gap="2" align="center">
          <select
            className="native-select"
            aria-label={`${name}: by what`}
            value={wave.kind}
            onChange={({ target }) => onChange({ ...wave, kind: target.value as WaveDraft['kind'] })}
          >
            <option value="percent">percent</option>
            <option value="count">adapters</option>
            <option value="label">labels</option>
          </select>
          <TextField.Root
            {...attributes}
            className="grows"
            placeholder={HINTS[wave.kind]}
            value={wave.value}
            onChange={({ target }) => onChange({ ...wave, value: target.value })}
          />
          <IconButton type="button" variant="soft" color="gray" aria-label={`Take ${name} away`} onClick={onRemove}>
            <TrashIcon aria-hidden />
          </IconButton>
        </Flex>
      )}
    </Field>
  );
}

function Approval() {
  const { draft } = useForm();
  return (
    <>
      <SelectInput
        name="approve"
        label="The next wave begins"
        error="policy.approve"
        options={[
          ['auto', 'by itself'],
          ['manual', 'when an operator approves it'],
          ['url', 'when a program of yours approves it'],
        ]}
      />
      {draft.approve === 'url' && (
        <TextInput
          name="approveUrl"
          label="Whom to ask"
          error="policy.approve.url"
          type="url"
          placeholder="https://…"
          help="It is asked by a signed POST, and an operator can approve as well."
        />
      )}
    </>
  );
}
