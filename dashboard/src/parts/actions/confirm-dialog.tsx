import { AlertDialog, Box, Button, Flex, Text } from '@radix-ui/themes';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useId, type ComponentProps, type ReactNode } from 'react';
import { ProblemCallout } from '../feedback/problem-callout.tsx';

/** Action that runs only after a person has confirmed it in a dialog. */
export interface ConfirmedAction<T> {
  /** Text of the button and of the dialog's button, a verb with its object: `Pause the rollout`. */
  readonly label: string;
  /** Title of the dialog (default: the label with a question mark). */
  readonly question?: string;
  readonly color?: ComponentProps<typeof Button>['color'];
  /**
   * Whether the action can be confirmed; false while its effect is still unknown, or if it would have none (default
   * true).
   */
  readonly possible?: boolean;
  /** Runs the action. If it throws an error, the dialog shows the error and stays open. */
  readonly run: () => Promise<T>;
  /** Called with the action's result, after all queries of the page were made again. */
  readonly done?: (answer: T) => void;
  /**
   * Description of the effect and of how many objects it concerns. It renders when the dialog opens, so it may query a
   * preview.
   */
  readonly children: ReactNode;
}

/** Content of a confirmation dialog: the description, an error, and the buttons. */
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

/** Open confirmation dialog without a button of its own, for example for a menu entry. */
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
