import { Box, Callout, Flex, Grid, Text } from '@radix-ui/themes';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import {
  createBaseModelVersion,
  createRollout,
  type CreateBaseModelVersion,
  type CreateRollout,
} from '@readapt/client';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { client } from '../../api/client.ts';
import { useChangeOfSearch } from '../../lib/use-change-of-search.ts';
import { ConfirmButton } from '../../parts/actions/confirm-button.tsx';
import type { NewRolloutSearch } from '../../routes/search.ts';
import { BeginText } from './begin-text.tsx';
import { CodePanel } from './code-panel.tsx';
import { DryRunPanel } from './dry-run/dry-run-panel.tsx';
import { askDryRun, dryRunQuery } from './dry-run/dry-run-queries.ts';
import { FormContext } from './form/form-context.ts';
import { SteeringFields } from './form/steering-fields.tsx';
import { TargetFields, useBaseModels } from './form/target-fields.tsx';
import type { Draft, Entered } from './request/draft.ts';
import { fieldErrorsOf } from './request/field-errors.ts';
import { toRequest, type FieldErrors, type RolloutRequest } from './request/request.ts';

interface RolloutFormProps {
  readonly initial: Entered;
  /** Whether the form starts with the inputs of the dry run that the address names. */
  readonly restored?: boolean;
}

export function RolloutForm({ initial, restored = false }: RolloutFormProps) {
  const { draft, errors, change, refuse } = useDraft(initial);
  const { request, errors: own } = useMemo(() => toRequest(draft), [draft]);
  const dryRun = useDryRun({ draft, request, refuse, change, begin: restored ? initial : null });
  const form = useRef<HTMLFormElement>(null);
  const context = useMemo(() => ({ draft, errors, change }), [draft, errors, change]);
  // Focuses the first field with an error.
  useEffect(() => {
    if (Object.keys(errors).length > 0) form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }, [errors]);
  const check = () => {
    if (Object.keys(own).length === 0) return true;
    refuse(own);
    return false;
  };
  return (
    <FormContext value={context}>
      <Grid columns={{ initial: '1', md: '3fr 2fr' }} gap="6" align="start">
        <Box minWidth="0" asChild>
          <form ref={form} onSubmit={(event) => event.preventDefault()} noValidate>
            <ErrorSummary errors={errors} />
            <TargetFields />
            <SteeringFields />
          </form>
        </Box>
        <Box minWidth="0" className="beside-form">
          <DryRunPanel {...dryRun} ask={() => check() && dryRun.ask()} />
          <Flex mb="6">
            <Begin
              draft={draft}
              request={request}
              forecastId={dryRun.isStale ? null : dryRun.id}
              check={check}
              refuse={refuse}
            />
          </Flex>
          <CodePanel request={request} />
        </Box>
      </Grid>
    </FormContext>
  );
}

function useDraft(initial: Entered) {
  const [entered, setEntered] = useState(initial);
  const [errors, setErrors] = useState<FieldErrors>({});
  const models = useBaseModels();
  const change = useCallback((part: Partial<Draft>) => {
    setErrors({});
    const begin = part.baseModel === undefined ? {} : { versionId: '', steering: null };
    setEntered((before) => ({ ...before, ...begin, ...part }));
  }, []);
  const policy = models.find(({ name }) => name === entered.baseModel)?.policy ?? null;
  const draft = useMemo(() => steered(entered, policy !== null), [entered, policy]);
  return { draft, errors, change, refuse: setErrors };
}

function steered(entered: Entered, baseModelHasPolicy: boolean): Draft {
  return { ...entered, steering: entered.steering ?? (baseModelHasPolicy ? 'base_model' : 'own'), baseModelHasPolicy };
}

interface DryRunOptions {
  readonly draft: Draft;
  readonly request: RolloutRequest;
  readonly refuse: (errors: FieldErrors) => void;
  readonly change: (part: Partial<Draft>) => void;
  /** Inputs of the dry run that the address names; null if they are not known. */
  readonly begin: Entered | null;
}

/** Requests a dry run of the form and keeps its identifier in the page's address. */
function useDryRun({ draft, request, refuse, change, begin }: DryRunOptions) {
  const { dry_run: id } = useSearch({ from: '/shell/rollouts/new' });
  const changeSearch = useChangeOfSearch<NewRolloutSearch>();
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Entered | null>(begin);
  const query = useQuery({ ...dryRunQuery(id ?? ''), enabled: id !== undefined });
  const asking = useMutation({
    mutationFn: () => askDryRun(draft),
    onSuccess: (forecast) => {
      const next = { ...draft, target: 'existing' as const, versionId: forecast.base_model_version_id };
      // The dry run has registered the new version, so the form now refers to an existing one.
      if (draft.target === 'new') {
        change({ target: 'existing', versionId: next.versionId });
        void queries.invalidateQueries({ queryKey: ['base-model-versions'] });
      }
      setAsked(next);
      changeSearch({ dry_run: forecast.id });
    },
    onError: (error) => refuse(fieldErrorsOf(error)),
  });
  return {
    id: id ?? null,
    query,
    ask: () => asking.mutate(),
    isAsking: asking.isPending,
    error: asking.error,
    /** Whether the form has changed since the dry run, or the inputs of the dry run are not known. */
    isStale: asked === null || !isSameRequest(toRequest(steered(asked, draft.baseModelHasPolicy)).request, request),
  };
}

const isSameRequest = (one: RolloutRequest, other: RolloutRequest) => JSON.stringify(one) === JSON.stringify(other);

/** Summary of all errors above the form, because on small screens the fields are out of view. */
function ErrorSummary({ errors }: { errors: FieldErrors }) {
  const messages = Object.entries(errors);
  if (messages.length === 0) return null;
  return (
    <Callout.Root color="red" role="alert" mb="4" highContrast>
      <Text as="p" weight="bold">
        Nothing was sent, or the service has refused it. Correct what is named:
      </Text>
      <ul className="error-list">
        {messages.map(([field, message]) => (
          <li key={field} className="any-text">
            {field.replace(/^policy\./, '').replaceAll(/[._]/g, ' ')}: {message}
          </li>
        ))}
      </ul>
    </Callout.Root>
  );
}

interface BeginProps {
  readonly draft: Draft;
  readonly request: RolloutRequest;
  /** Identifier of a dry run with exactly the form's present inputs; null if there is no such dry run. */
  readonly forecastId: string | null;
  readonly check: () => boolean;
  readonly refuse: (errors: FieldErrors) => void;
}

function Begin({ draft, request, forecastId, check, refuse }: BeginProps) {
  const navigate = useNavigate();
  const begin = async (): Promise<string | FieldErrors> => {
    if (!check()) return {};
    try {
      return await beginRollout(draft, request);
    } catch (error) {
      const errors = fieldErrorsOf(error);
      if (Object.keys(errors).length === 0) throw error;
      return errors;
    }
  };
  return (
    <ConfirmButton
      label="Begin the rollout"
      variant="solid"
      run={begin}
      done={(answer) => {
        if (typeof answer === 'string') void navigate({ to: '/rollouts/$rolloutId', params: { rolloutId: answer } });
        else if (Object.keys(answer).length > 0) refuse(answer);
      }}
    >
      <BeginText draft={draft} forecastId={forecastId} />
    </ConfirmButton>
  );
}

/** Starts the rollout. @returns its identifier */
async function beginRollout(draft: Draft, { body }: RolloutRequest): Promise<string> {
  if (draft.target === 'existing') return (await createRollout({ client, body: body as CreateRollout })).id;
  const { rollout } = await createBaseModelVersion({
    client,
    path: { model: draft.baseModel },
    body: body as CreateBaseModelVersion,
  });
  if (rollout === null) throw new Error('the service has registered the version without a rollout');
  return rollout.id;
}
