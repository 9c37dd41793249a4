import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { ArtifactStore } from '../../../src/platform/artifacts/index.ts';
import { openS3Store } from '../../../src/platform/artifacts/opening/open-s3-store.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import type { S3Server } from './versitygw.ts';

/** View of the bucket that bypasses the store. */
export interface BucketView {
  /** Keys below a prefix, without the prefix. */
  keys(prefix: string): Promise<string[]>;
  /** Number of stored folders. */
  folders(prefix: string): Promise<number>;
  damage(what: { prefix: string; digest: string; file: string | null; text: string }): Promise<void>;
  readonly s3: S3Client;
}

/** Opens the store at a prefix of the server's bucket, with this "machine's" copies in its data folder. */
export async function openTestStore(
  server: S3Server,
  { prefix, dataDir, env = {} }: { prefix: string; dataDir: string; env?: Record<string, string> },
): Promise<{ store: ArtifactStore; client: BucketView; prefix: string }> {
  const given = { ...server.env(prefix), READAPT_DATA_DIR: dataDir, ...env };
  // The SDK reads the credentials from its usual environment variables.
  Object.assign(process.env, given);
  const config = loadConfig(given);
  const { store } = await openS3Store(config.artifacts!, config);
  return { store, client: viewOf(server), prefix };
}

export function viewOf(server: S3Server): BucketView {
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = server.env('');
  const { endpoint, bucket: Bucket } = server;
  const s3 = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  const keys = async (prefix: string) => {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: `${prefix}/` }));
    return Contents.map(({ Key = '' }) => Key.slice(prefix.length + 1));
  };
  const metadata = async (Key: string) => (await s3.send(new HeadObjectCommand({ Bucket, Key }))).Metadata ?? {};
  return {
    s3,
    keys,
    folders: async (prefix) => {
      const stored = (await keys(prefix)).filter((key) => key.startsWith('sha256/') && !key.endsWith('.put'));
      const kinds = await Promise.all(stored.map(async (key) => (await metadata(`${prefix}/${key}`)).entry));
      return kinds.filter((kind) => kind === 'folder').length;
    },
    damage: async ({ prefix, digest, file, text }) => {
      const [start, rest] = [digest.slice(7, 9), digest.slice(9)];
      const Key = `${prefix}/sha256/${start}/${rest}`;
      const kept = await metadata(Key);
      const damaged = file === null ? Key : `${prefix}/folders/${start}/${rest}/${kept.put}/${file}`;
      await s3.send(new GetObjectCommand({ Bucket, Key: damaged }));
      await s3.send(
        new PutObjectCommand({ Bucket, Key: damaged, Body: text, ...(file === null && { Metadata: kept }) }),
      );
    },
  };
}
