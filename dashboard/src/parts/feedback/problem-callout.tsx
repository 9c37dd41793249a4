import { ExclamationTriangleIcon } from '@radix-ui/react-icons';
import { Box, Button, Callout, Text } from '@radix-ui/themes';
import { showProblem } from '../../api/problem.ts';

interface ProblemCalloutProps {
  readonly error: unknown;
  /** Repeats the failed request when the button is pressed. If not given, no button is shown. */
  readonly retry?: () => unknown;
}

/** Message about a failed request with advice: a problem of the API (RFC 9457), or no answer at all. */
export function ProblemCallout({ error, retry }: ProblemCalloutProps) {
  const { title, detail, advice, code, requestId } = showProblem(error);
  return (
    <Callout.Root color="red" role="alert" highContrast>
      <Callout.Icon>
        <ExclamationTriangleIcon aria-hidden />
      </Callout.Icon>
      <Box>
        <Text as="p" weight="bold" className="any-text">
          {title}
        </Text>
        <Text as="p" mt="1" className="any-text">
          {detail} {advice}
        </Text>
        {code !== null && (
          <Text as="p" size="1" mt="1" className="any-text">
            Code {code}
            {requestId !== null && `, request ${requestId}`}
          </Text>
        )}
        {retry !== undefined && (
          <Button mt="2" size="1" variant="soft" color="red" onClick={() => void retry()}>
            Try again
          </Button>
        )}
      </Box>
    </Callout.Root>
  );
}
