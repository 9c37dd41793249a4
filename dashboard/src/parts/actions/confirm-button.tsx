import { AlertDialog, Box, Button, Flex, Text } from '@radix-ui/themes';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useId, useState, type ComponentProps, type ReactNode } from 'react';
import { ProblemCallout } from '../feedback/problem-callout.tsx';

interface ConfirmButtonProps<T> {
  /** What the button does, as a verb with its object: `Pause the rollout`. The dialog's button says the same. */
  readonly label: string;
  readonly icon?: ReactNode;
  /** The question of the dialog (default: the label with a question mark). */
  readonly question?: string;
  readonly color?: ComponentProps<typeof Button>['color'];
  readonly disabled?: boolean;
  /** Does it. What it throws is shown in the dialog, which stays open. */
  readonly run: () => Promise<T>;
  /** Is told of the answer, after everything on the page was read again. */
  readonly done?: (answer: T) => void;
  /** What will happen, to how many. It is rendered when the dialog opens, so it may ask the service for a preview. */
  readonly children: ReactNode;
}

/** A button whose deed is confirmed first, in a dialog that says what it will do. */
export function ConfirmButton<T>(props: ConfirmButtonProps<T>) {
  const { label, icon, color, disabled } = props;
  const [open, setOpen] = useState(false);
  // The component for descriptions is one paragraph, and what will happen may be a list.
  const description = useId();
  return (
    <AlertDialog.Root open={open} onOpenChange={setOpen}>
      <AlertDialog.Trigger>
        <Button variant="soft" color={color} disabled={disabled}>
          {icon}
          {label}
        </Button>
      </AlertDialog.Trigger>
      <AlertDialog.Content maxWidth="520px" aria-describedby={description}>
        <Confirmation {...props} description={description} close={() => setOpen(false)} />
      </AlertDialog.Content>
    </AlertDialog.Root>
  );
}

function Confirmation<T>(props: ConfirmButtonProps<T> & { description: string; close: () => void }) {
  const { label, question = `${label}?`, color, run, done, description, close, children } = props;
  const queries = useQueryClient();
  const deed = useMutation({
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
      {deed.error !== null && (
        <Box mt="3">
          <ProblemCallout error={deed.error} />
        </Box>
      )}
      <Flex gap="3" mt="4" justify="end" align="center">
        {deed.isPending && (
          <Text size="2" color="gray" role="status">
            Asking the service …
          </Text>
        )}
        <AlertDialog.Cancel>
          <Button variant="soft" color="gray">
            Leave as it is
          </Button>
        </AlertDialog.Cancel>
        <Button color={color} loading={deed.isPending} onClick={() => deed.mutate()}>
          {label}
        </Button>
      </Flex>
    </>
  );
}
