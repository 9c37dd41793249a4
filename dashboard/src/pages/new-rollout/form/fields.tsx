import { Flex, Text, TextArea, TextField } from '@radix-ui/themes';
import { useId, type ReactNode } from 'react';
import { sentence } from '../../../lib/format.ts';
import { errorAt } from '../request/field-errors.ts';
import type { Draft } from '../request/draft.ts';
import { useForm } from './form-context.ts';

/** Names of the fields of the rollout form that contain text. */
type TextName = { [Name in keyof Draft]: Draft[Name] extends string ? Name : never }[keyof Draft];

interface FieldProps {
  readonly label: string;
  /** Name that the API's errors give the field: `policy.deadline`. */
  readonly error: string;
  readonly help?: ReactNode;
  readonly children: (attributes: FieldAttributes) => ReactNode;
}

interface FieldAttributes {
  readonly id: string;
  readonly 'aria-describedby': string;
  readonly 'aria-invalid': boolean;
}

/** Form control with its label, help text and error. */
export function Field({ label, error, help, children }: FieldProps) {
  const { errors } = useForm();
  const id = useId();
  const message = errorAt(errors, error);
  return (
    <Flex direction="column" gap="1" minWidth="0">
      <Text as="label" size="2" weight="medium" htmlFor={id}>
        {label}
      </Text>
      {children({ id, 'aria-describedby': `${id}-help`, 'aria-invalid': message !== undefined })}
      <div id={`${id}-help`}>
        {message !== undefined && (
          <Text as="p" size="2" color="red" className="field-error any-text">
            {sentence(message)}
          </Text>
        )}
        {help !== undefined && (
          <Text as="p" size="1" color="gray">
            {help}
          </Text>
        )}
      </div>
    </Flex>
  );
}

interface NamedFieldProps extends Omit<FieldProps, 'children'> {
  readonly name: TextName;
}

interface TextInputProps extends NamedFieldProps {
  readonly placeholder?: string;
  readonly type?: 'text' | 'datetime-local' | 'url';
  /** Whether phones show their numeric keyboard for the field. */
  readonly digits?: boolean;
  /** Unit that is shown behind the number, such as %. */
  readonly unit?: string;
}

export function TextInput({ name, placeholder, type = 'text', digits = false, unit, ...field }: TextInputProps) {
  const { draft, change } = useForm();
  return (
    <Field {...field}>
      {(attributes) => (
        <TextField.Root
          {...attributes}
          type={type}
          placeholder={placeholder}
          inputMode={digits ? 'decimal' : undefined}
          value={draft[name]}
          onChange={({ target }) => change({ [name]: target.value })}
        >
          {unit !== undefined && <TextField.Slot side="right">{unit}</TextField.Slot>}
        </TextField.Root>
      )}
    </Field>
  );
}

export function TextAreaInput({ name, placeholder, ...field }: NamedFieldProps & { readonly placeholder?: string }) {
  const { draft, change } = useForm();
  return (
    <Field {...field}>
      {(attributes) => (
        <TextArea
          {...attributes}
          rows={2}
          placeholder={placeholder}
          value={draft[name]}
          onChange={({ target }) => change({ [name]: target.value })}
        />
      )}
    </Field>
  );
}

interface SelectInputProps extends NamedFieldProps {
  /** Entries of the select, each with the value for the API and the text for people. */
  readonly options: readonly (readonly [value: string, label: string])[];
}

export function SelectInput({ name, options, ...field }: SelectInputProps) {
  const { draft, change } = useForm();
  return (
    <Field {...field}>
      {(attributes) => (
        <select
          {...attributes}
          className="native-select"
          value={draft[name]}
          onChange={({ target }) => change({ [name]: target.value })}
        >
          {options.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
