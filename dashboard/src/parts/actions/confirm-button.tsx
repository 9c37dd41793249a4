import { AlertDialog, Button } from '@radix-ui/themes';
import { useId, useState, type ComponentProps, type ReactNode } from 'react';
import { Confirmation, type ConfirmedAction } from './confirm-dialog.tsx';

interface ConfirmButtonProps<T> extends ConfirmedAction<T> {
  readonly icon?: ReactNode;
  readonly variant?: ComponentProps<typeof Button>['variant'];
  readonly disabled?: boolean;
}

/** Button that opens a confirmation dialog, which says what the action will do. */
export function ConfirmButton<T>({ icon, variant = 'soft', disabled, ...action }: ConfirmButtonProps<T>) {
  const [open, setOpen] = useState(false);
  // `AlertDialog.Description` renders one paragraph, but a description may contain a list.
  const description = useId();
  return (
    <AlertDialog.Root open={open} onOpenChange={setOpen}>
      <AlertDialog.Trigger>
        <Button variant={variant} color={action.color} disabled={disabled}>
          {icon}
          {action.label}
        </Button>
      </AlertDialog.Trigger>
      <AlertDialog.Content maxWidth="520px" aria-describedby={description}>
        <Confirmation {...action} description={description} close={() => setOpen(false)} />
      </AlertDialog.Content>
    </AlertDialog.Root>
  );
}
