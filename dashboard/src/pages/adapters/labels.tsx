import { Badge, Flex } from '@radix-ui/themes';

/** Badges with an adapter's labels as `key: value`. */
export function Labels({ labels }: { labels: Readonly<Record<string, string>> }) {
  const entries = Object.entries(labels);
  if (entries.length === 0) return 'none';
  return (
    <Flex gap="1" wrap="wrap" asChild>
      <span>
        {entries.map(([key, value]) => (
          <Badge key={key} color="gray" highContrast>
            {key}: {value}
          </Badge>
        ))}
      </span>
    </Flex>
  );
}
