import { Button } from '@radix-ui/themes';
import { DownloadIcon } from '@radix-ui/react-icons';
import { downloadAdapterVersion, type Adapter } from '@readapt/client';
import { useMutation } from '@tanstack/react-query';
import { client } from '../../api/client.ts';
import { ProblemCallout } from '../../parts/feedback/problem-callout.tsx';

interface DownloadButtonProps {
  readonly adapter: Pick<Adapter, 'id' | 'name'>;
  readonly versionId: string;
  readonly number: number | null;
}

/** Button that downloads a version's PEFT folder as a tar archive. A plain link would not send the API key. */
export function DownloadButton({ adapter, versionId, number }: DownloadButtonProps) {
  const download = useMutation({
    mutationFn: async () => {
      const path = { id: adapter.id, version_id: versionId };
      const archive = await downloadAdapterVersion({ client, path, parseAs: 'blob' });
      save(archive, `${adapter.name}-${number ?? 'version'}.tar`);
    },
  });
  return (
    <>
      <Button variant="soft" loading={download.isPending} onClick={() => download.mutate()}>
        <DownloadIcon aria-hidden />
        Download version {number}
      </Button>
      {download.error !== null && <ProblemCallout error={download.error} />}
    </>
  );
}

function save(archive: Blob, name: string): void {
  const url = URL.createObjectURL(archive);
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}
