import { Box } from '@radix-ui/themes';
import type { ErrorComponentProps } from '@tanstack/react-router';
import { ProblemCallout } from './problem-callout.tsx';

/** In the place of a page that cannot be shown, for example because a newer version of it was installed meanwhile. */
export function PageError({ error }: ErrorComponentProps) {
  return (
    <Box p="4">
      <ProblemCallout error={error} retry={() => location.reload()} />
    </Box>
  );
}
