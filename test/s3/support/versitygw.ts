import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const USER = { accessKeyId: 'readapt-test', secretAccessKey: 'readapt-test-secret' };
const BUCKET = 'artifacts';
/** Encryption that the stores under test request, if any. */
const ENCRYPTION = process.env.READAPT_TEST_S3_ENCRYPTION;

/** Folders and addresses on which an S3 server is started. */
interface Place {
  readonly address: string;
  /** Folder whose first-level folders are the buckets. */
  readonly data: string;
  /** Folder for earlier versions of objects; null if buckets keep none. */
  readonly versions: string | null;
}

/** Command and environment of an S3 server. */
interface Program {
  readonly binary: string;
  readonly args: (place: Place) => string[];
  readonly env?: Record<string, string>;
}

/** S3 server that the environment chooses. @throws Error that says how to install one */
function chosenProgram(): Program {
  const { READAPT_VERSITYGW: versitygw, READAPT_MINIO: minio } = process.env;
  if (minio !== undefined) {
    return {
      binary: minio,
      args: ({ address, data }) => ['server', '--quiet', '--address', address, data],
      env: {
        MINIO_ROOT_USER: USER.accessKeyId,
        MINIO_ROOT_PASSWORD: USER.secretAccessKey,
        // With a key of its own, it encrypts on request.
        MINIO_KMS_SECRET_KEY: `readapt-test-key:${Buffer.alloc(32, 1).toString('base64')}`,
      },
    };
  }
  if (versitygw === undefined) {
    throw new Error(
      'neither READAPT_VERSITYGW nor READAPT_MINIO is set, expected the path of the program: ' +
        'see docs/faults-and-tests.md',
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

/** Real S3 server with a bucket on the local disk. */
export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  /** Folder with the bucket's objects; empty if the server is not the test's own. */
  readonly folder: string;
  /** Environment with which a Readapt process uses a prefix of the bucket. */
  env(prefix: string): Record<string, string>;
  start(): Promise<void>;
  /** Kills the server like a power failure. Its objects stay. */
  kill(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Starts the S3 server that the environment chooses, or uses a running one.
 * @param keepsVersions whether buckets can keep versions of objects, which must be enabled per bucket
 * @throws Error that says how to install one
 */
export async function startS3Server({ keepsVersions = false } = {}): Promise<S3Server> {
  const { READAPT_TEST_S3_ENDPOINT: running } = process.env;
  if (running !== undefined) return serverOf(running);
  const program = chosenProgram();
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-s3-'));
  // The gateway treats each folder as a bucket.
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

/**
 * Server started by somebody else, with a bucket `artifacts` and AWS's credential variables. Tests that stop it fail.
 */
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

/** Environment with which a Readapt process uses a prefix of the bucket. */
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
    // A starting server answers 503.
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
