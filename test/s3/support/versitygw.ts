import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const BINARY = process.env.READAPT_VERSITYGW;
const USER = { accessKeyId: 'readapt-test', secretAccessKey: 'readapt-test-secret' };
const BUCKET = 'artifacts';

/** A real server that speaks S3, with a bucket on the local disk. */
export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  /** The folder in which the gateway keeps the bucket's objects as files. */
  readonly folder: string;
  /** What a process of Readapt needs to use a place in the bucket. */
  env(prefix: string): Record<string, string>;
  start(): Promise<void>;
  /** Ends it as a machine that is switched off does. Its objects stay. */
  kill(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * @param keepsVersions whether buckets can keep versions of objects, which each is to be told
 * @throws Error that says how to install it
 */
export async function startS3Server({ keepsVersions = false } = {}): Promise<S3Server> {
  if (BINARY === undefined)
    throw new Error('READAPT_VERSITYGW is not set, expected the path of versitygw: see docs/development.md');
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-s3-'));
  // The gateway takes each folder for a bucket.
  const [data, versions] = [path.join(folder, 'data'), path.join(folder, 'versions')];
  for (const made of [path.join(data, BUCKET), versions]) await mkdir(made, { recursive: true });
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;
  const server: S3Server = {
    endpoint,
    bucket: BUCKET,
    folder: path.join(data, BUCKET),
    env: (prefix) => ({
      READAPT_ARTIFACTS: `s3://${BUCKET}/${prefix}`,
      READAPT_S3_ENDPOINT: endpoint,
      AWS_ACCESS_KEY_ID: USER.accessKeyId,
      AWS_SECRET_ACCESS_KEY: USER.secretAccessKey,
    }),
    start: async () => {
      const args = ['--access', USER.accessKeyId, '--secret', USER.secretAccessKey, '--port', `127.0.0.1:${port}`];
      const posix = ['posix', ...(keepsVersions ? ['--versioning-dir', versions] : []), data];
      child = spawn(BINARY, [...args, '--quiet', ...posix], { stdio: 'ignore' });
      await answering(endpoint, child);
    },
    kill: async () => {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
    remove: async () => {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

async function answering(endpoint: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    const answer = await fetch(endpoint).catch(() => null);
    if (answer !== null) return;
    await wait(50);
  }
  throw new Error(`versitygw does not answer at ${endpoint}`);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
