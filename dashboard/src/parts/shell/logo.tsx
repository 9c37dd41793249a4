import { Flex, Text } from '@radix-ui/themes';
import icon from '../../icon.svg';

export function Logo() {
  return (
    <Flex align="center" gap="2" asChild>
      <span>
        <img src={icon} alt="" width="24" height="24" />
        <Text size="4" weight="bold">
          Readapt
        </Text>
      </span>
    </Flex>
  );
}
