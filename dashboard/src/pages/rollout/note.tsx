import {
  CheckCircledIcon,
  ClockIcon,
  CrossCircledIcon,
  ExclamationTriangleIcon,
  InfoCircledIcon,
} from '@radix-ui/react-icons';
import { Box, Callout, Text } from '@radix-ui/themes';
import type { ComponentType, ReactNode } from 'react';

type Tone = 'red' | 'amber' | 'green' | 'gray' | 'blue';

const ICONS: Readonly<Record<Tone, ComponentType<{ 'aria-hidden'?: boolean }>>> = {
  red: CrossCircledIcon,
  amber: ExclamationTriangleIcon,
  green: CheckCircledIcon,
  gray: InfoCircledIcon,
  blue: ClockIcon,
};

/** Note about the rollout: a title and an explanation with advice. */
export function Note({ tone, title, children }: { tone: Tone; title: string; children?: ReactNode }) {
  const Icon = ICONS[tone];
  return (
    <Callout.Root color={tone} variant="surface" highContrast>
      <Callout.Icon>
        <Icon aria-hidden />
      </Callout.Icon>
      <Box>
        {/* Only the title is a live region: times in the text change every second and would be read out each time. */}
        <Text as="p" weight="bold" className="any-text" role="status">
          {title}
        </Text>
        {children !== undefined && (
          <Text as="div" mt="1" className="any-text">
            {children}
          </Text>
        )}
      </Box>
    </Callout.Root>
  );
}
