import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const USER = { accessKeyId: 'readapt-test', secretAccessKey: 'readapt-test-secret' };
const BUCKET = 'artifacts';
/** The encryption that the stores under test ask for, if any. */
const ENCRYPTION = process.env.READAPT_TEST_S3_ENCRYPTION;

/** What a program that speaks S3 is started on. */
interface Place {
  readonly address: string;
  /** A folder, each first-level folder of which is a bucket. */
  readonly data: string;
  /** A folder for earlier versions of objects; null where buckets keep none. */
  readonly versions: string | null;
}

/** How a program that speaks S3 is started. */
interface Program {
  readonly binary: string;
  readonly args: (place: Place) => string[];
  readonly env?: Record<string, string>;
}

/** @throws Error that says how to install one */
function chosenProgram(): Program {
  const { READAPT_VERSITYGW: versitygw, READAPT_MINIO: minio } = process.env;
  if (minio !== undefined) {
    return {
      binary: minio,
      args: ({ address, data }) => ['server', '--quiet', '--address', address, data],
      env: {
        MINIO_ROOT_USER: USER.accessKeyId,
        MINIO_ROOT_PASSWORD: USER.secretAccessKey,
        // A key of its own makes it encrypt what it is asked to.
        MINIO_KMS_SECRET_KEY: `readapt-test-key:${Buffer.alloc(32, 1).toString('base64')}`,
      },
    };
  }
  if (versitygw === undefined) {
    throw new Error(
      'neither READAPT_VERSITYGW nor READAPT_MINIO is set, expected the path of the program: see docs/faults-and-tests.md',
    );
  }
  return {
    binary: versitygw,
    args: ({ address, data, versions }) => [
      ...['--access', USER.accessKeyId, '--secret', USER.secretAccessKey, '--port', address],
      ...['--quiet', 'posix', ...(versions === null ? [] : ['--versioning-dir', versions]), data],
    ],
  };
}

/** A real server that speaks S3, with a bucket on the local disk. */
export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  /** The folder in which the server keeps the bucket's objects; empty where it is not the test's. */
  readonly folder: string;
  /** What a process of Readapt needs to use a place in the bucket. */
  env(prefix: string): Record<string, string>;
  start(): Promise<void>;
  /** Ends it as a machine that is switched off does. Its objects stay. */
  kill(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Starts the program that the environment names, or takes a server that runs.
 * @param keepsVersions whether buckets can keep versions of objects, which each is to be told
 * @throws Error that says how to install one
 */
export async function startS3Server({ keepsVersions = false } = {}): Promise<S3Server> {
  const { READAPT_TEST_S3_ENDPOINT: running } = process.env;
  if (running !== undefined) return serverOf(running);
  const program = chosenProgram();
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
    env: (prefix) => environment(endpoint, USER, prefix),
    start: async () => {
      const env = { ...process.env, ...program.env };
      const place = { address: `127.0.0.1:${port}`, data, versions: keepsVersions ? versions : null };
      child = spawn(program.binary, program.args(place), { stdio: 'ignore', env });
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

/** A server that somebody else has started, with a bucket `artifacts` and the credentials of AWS's variables. Tests that stop it fail. */
function serverOf(endpoint: string): S3Server {
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = process.env;
  const refuse = () => Promise.reject(new Error('the server of READAPT_TEST_S3_ENDPOINT is not the test’s to stop'));
  return {
    endpoint,
    bucket: BUCKET,
    folder: '',
    env: (prefix) => environment(endpoint, { accessKeyId, secretAccessKey }, prefix),
    start: refuse,
    kill: refuse,
    remove: () => Promise.resolve(),
  };
}

/** What a process of Readapt needs to use a place in the bucket. */
function environment(endpoint: string, user: typeof USER, prefix: string): Record<string, string> {
  return {
    READAPT_ARTIFACTS: `s3://${BUCKET}/${prefix}`,
    READAPT_S3_ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: user.accessKeyId,
    AWS_SECRET_ACCESS_KEY: user.secretAccessKey,
    ...(ENCRYPTION !== undefined && { READAPT_S3_ENCRYPTION: ENCRYPTION }),
  };
}

async function answering(endpoint: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    const answer = await fetch(endpoint).catch(() => null);
    // A server that is still beginning says so by 503.
    if (answer !== null && answer.status !== 503) return;
    await wait(50);
  }
  throw new Error(`the server of S3 does not answer at ${endpoint}`);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
