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

/** How a program that speaks S3 is started on a folder, each first-level folder of which is a bucket. */
interface Program {
  readonly binary: string;
  readonly args: (address: string, folder: string) => string[];
  readonly env?: Record<string, string>;
}

/** @throws Error that says how to install one */
function chosenProgram(): Program {
  const { READAPT_VERSITYGW: versitygw, READAPT_MINIO: minio } = process.env;
  if (minio !== undefined) {
    return {
      binary: minio,
      args: (address, folder) => ['server', '--quiet', '--address', address, folder],
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
      'neither READAPT_VERSITYGW nor READAPT_MINIO is set, expected the path of the program: see docs/development.md',
    );
  }
  return {
    binary: versitygw,
    args: (address, folder) => [
      ...['--access', USER.accessKeyId, '--secret', USER.secretAccessKey, '--port', address],
      ...['--quiet', 'posix', folder],
    ],
  };
}

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

/** Starts the program that the environment names. @throws Error that says how to install one */
export async function startS3Server(): Promise<S3Server> {
  const program = chosenProgram();
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-s3-'));
  await mkdir(path.join(folder, BUCKET));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;
  const server: S3Server = {
    endpoint,
    bucket: BUCKET,
    folder: path.join(folder, BUCKET),
    env: (prefix) => ({
      READAPT_ARTIFACTS: `s3://${BUCKET}/${prefix}`,
      READAPT_S3_ENDPOINT: endpoint,
      AWS_ACCESS_KEY_ID: USER.accessKeyId,
      AWS_SECRET_ACCESS_KEY: USER.secretAccessKey,
      ...(ENCRYPTION !== undefined && { READAPT_S3_ENCRYPTION: ENCRYPTION }),
    }),
    start: async () => {
      const env = { ...process.env, ...program.env };
      child = spawn(program.binary, program.args(`127.0.0.1:${port}`, folder), { stdio: 'ignore', env });
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
