import { Box, Flex, Tabs, Text } from '@radix-ui/themes';
import { Section } from '../../parts/layout/section.tsx';
import { CopyButton } from '../../parts/values/copy-button.tsx';
import { codeOf, LANGUAGES } from './request/code.ts';
import type { RolloutRequest } from './request/request.ts';

/** Request of the form as code in several languages. */
export function CodePanel({ request }: { request: RolloutRequest }) {
  return (
    <Section title="The same request from a program">
      <Tabs.Root defaultValue={LANGUAGES[0]}>
        <Tabs.List>
          {LANGUAGES.map((language) => (
            <Tabs.Trigger key={language} value={language}>
              {language}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        {LANGUAGES.map((language) => {
          const code = codeOf(language, request, location.origin);
          return (
            <Tabs.Content key={language} value={language}>
              <Flex justify="between" align="center" mt="2" mb="1" gap="2">
                <Text size="1" color="gray">
                  The environment variable READAPT_KEY has an operator's key.
                </Text>
                <CopyButton text={code} what={`the ${language} code`} />
              </Flex>
              <Box asChild>
                <pre className="json" tabIndex={0} aria-label={`${language} code`}>
                  {code}
                </pre>
              </Box>
            </Tabs.Content>
          );
        })}
      </Tabs.Root>
    </Section>
  );
}
