import { AlertDialog, Box, Button, Flex, Text } from '@radix-ui/themes';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useId, type ComponentProps, type ReactNode } from 'react';
import { ProblemCallout } from '../feedback/problem-callout.tsx';

export interface ConfirmedAction<T> {
  /** What the button does, as a verb with its object: `Pause the rollout`. The dialog's button says the same. */
  readonly label: string;
  /** The question of the dialog (default: the label with a question mark). */
  readonly question?: string;
  readonly color?: ComponentProps<typeof Button>['color'];
  /** False while it is not known yet what would happen, or there is nothing that would (default true). */
  readonly possible?: boolean;
  /** Does it. What it throws is shown in the dialog, which stays open. */
  readonly run: () => Promise<T>;
  /** Is told of the answer, after everything on the page was read again. */
  readonly done?: (answer: T) => void;
  /** What will happen, to how many. It is rendered when the dialog opens, so it may ask the service for a preview. */
  readonly children: ReactNode;
}

/** What the dialog of a action has in it: what it will do, and the buttons that do it or leave it. */
export function Confirmation<T>(props: ConfirmedAction<T> & { description: string; close: () => void }) {
  const { label, question = `${label}?`, color, possible = true, run, done, description, close, children } = props;
  const queries = useQueryClient();
  const action = useMutation({
    mutationFn: run,
    onSuccess: async (answer) => {
      await queries.invalidateQueries();
      close();
      done?.(answer);
    },
  });
  return (
    <>
      <AlertDialog.Title>{question}</AlertDialog.Title>
      <Text as="div" size="2" id={description}>
        {children}
      </Text>
      {action.error !== null && (
        <Box mt="3">
          <ProblemCallout error={action.error} />
        </Box>
      )}
      <Flex gap="3" mt="4" justify="end" align="center" wrap="wrap">
        {action.isPending && (
          <Text size="2" color="gray" role="status">
            Asking the service …
          </Text>
        )}
        <AlertDialog.Cancel>
          <Button variant="soft" color="gray">
            Leave as it is
          </Button>
        </AlertDialog.Cancel>
        <Button color={color} loading={action.isPending} disabled={!possible} onClick={() => action.mutate()}>
          {label}
        </Button>
      </Flex>
    </>
  );
}

/** A dialog that is opened by something else than a button of its own, such as an entry of a menu. */
export function ConfirmDialog<T>({ onClose, ...action }: ConfirmedAction<T> & { readonly onClose: () => void }) {
  const description = useId();
  return (
    <AlertDialog.Root open onOpenChange={(open) => !open && onClose()}>
      <AlertDialog.Content maxWidth="520px" aria-describedby={description}>
        <Confirmation {...action} description={description} close={onClose} />
      </AlertDialog.Content>
    </AlertDialog.Root>
  );
}
