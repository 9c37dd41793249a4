import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

/** Fault of an answer. */
export interface HubFault {
  readonly status?: number;
  readonly retryAfter?: number;
  /** Number of bytes after which the connection is closed. */
  readonly cutAfter?: number;
  /** Number of bytes after which nothing more is sent while the connection stays open. */
  readonly hangAfter?: number;
  /** Sends wrong bytes. */
  readonly corrupt?: boolean;
  /** Sends bytes beyond the file's end. */
  readonly surplus?: boolean;
  /** Size with which each file is listed. */
  readonly declaredBytes?: number;
  /** Sends the whole file in answer to a range request. */
  readonly ignoreRange?: boolean;
}

export interface HubRequest {
  readonly method: string;
  readonly path: string;
  readonly range: string | null;
  readonly authorization: string | null;
  /** Whether the request reached the server of large files, to which the hub redirects. */
  readonly large: boolean;
}

interface Repo {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly commit: string;
  readonly token: string | null;
}

export interface HubServer {
  readonly url: string;
  /** Number of requests being answered. */
  open(): number;
  /** Requests received so far. */
  readonly requests: HubRequest[];
  /** Chooses the fault of each request; called once per request. */
  fault: (request: HubRequest) => HubFault | null;
  /** Adds a model, or a new commit to which its branch then points. @returns the commit */
  publish(repo: string, files: ReadonlyMap<string, Buffer>, token?: string): string;
  /** Renames a model. The hub redirects from its old name. */
  rename(from: string, to: string): void;
  /** Adds the files of a folder as a model. */
  publishFolder(repo: string, folder: string, token?: string): Promise<string>;
  /** Closes all connections, including hanging ones, and clears the faults for later requests. */
  cut(): void;
  close(): Promise<void>;
}

/** Page size of a listing. The real hub has a thousand. */
const SMALL_PAGE = 3;

/**
 * Hub with the part of Hugging Face's API that reads models: information on a revision, pages of its tree, and files
 * with ranges. Like there, weights are large files (LFS), for which it redirects to another server that must not see
 * the token.
 */
export async function startHub({ page = SMALL_PAGE } = {}): Promise<HubServer> {
  const repos = new Map<string, Repo[]>();
  const renamed = new Map<string, string>();
  const requests: HubRequest[] = [];
  let open = 0;
  const started = (large: boolean) => createServer((request, response) => void answer(request, response, large));
  const [main, cdn] = [started(false), started(true)];
  const [url, cdnUrl] = [await listen(main), await listen(cdn)];
  const hub: HubServer = {
    url,
    requests,
    open: () => open,
    fault: () => null,
    publish(name, files, token) {
      const hash = createHash('sha1').update(name);
      for (const [file, content] of files) hash.update(file).update(content);
      const commit = hash.digest('hex');
      repos.set(name, [...(repos.get(name) ?? []), { files, commit, token: token ?? null }]);
      return commit;
    },
    rename: (from, to) => void renamed.set(from, to),
    async publishFolder(name, folder, token) {
      const files = new Map<string, Buffer>();
      for (const file of (await readdir(folder)).sort()) files.set(file, await readFile(path.join(folder, file)));
      return hub.publish(name, files, token);
    },
    cut() {
      hub.fault = () => null;
      for (const server of [main, cdn]) server.closeAllConnections();
    },
    async close() {
      await Promise.all([main, cdn].map(stop));
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse, large: boolean): Promise<void> {
    open++;
    response.once('close', () => open--);
    const address = new URL(request.url ?? '/', 'http://hub');
    const { range = null, authorization = null } = request.headers;
    const seen = { method: request.method ?? '', path: address.pathname, range, authorization, large };
    requests.push(seen);
    const fault = hub.fault(seen) ?? {};
    if (fault.status !== undefined) {
      const headers: Record<string, string> =
        fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
      return json(response, fault.status, { error: `fault ${fault.status}` }, headers);
    }
    const [, repoName = '', kind = '', rest = ''] =
      /^\/(?:api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/(.+)$/.exec(address.pathname) ?? [];
    const newName = renamed.get(repoName);
    if (newName !== undefined) {
      response.writeHead(307, { location: `${address.pathname.replace(repoName, newName)}${address.search}` }).end();
      return;
    }
    const [revision = '', ...names] = rest.split('/').map(decodeURIComponent);
    const commits = repos.get(repoName) ?? [];
    const repo = revision === 'main' ? commits.at(-1) : commits.find(({ commit }) => commit === revision);
    if (repo === undefined) return json(response, 404, { error: 'Repository not found' });
    const isSigned = large && address.searchParams.get('signature') === 'valid';
    if (repo.token !== null && !isSigned && authorization !== `Bearer ${repo.token}`) {
      return json(response, 401, { error: 'Invalid username or password.' });
    }
    if (kind === 'revision') return json(response, 200, infoOf(repoName, repo));
    if (kind === 'tree') return tree(response, address, { repo, declaredBytes: fault.declaredBytes });
    const content = repo.files.get(names.join('/'));
    if (content === undefined) return json(response, 404, { error: 'Entry not found' });
    if (isLarge(names.join('/')) && !large) {
      response.writeHead(302, { location: `${cdnUrl}${address.pathname}?signature=valid` }).end();
      return;
    }
    await send(response, content, { range, fault });
  }

  function tree(
    response: ServerResponse,
    address: URL,
    { repo, declaredBytes }: { repo: Repo; declaredBytes: number | undefined },
  ): void {
    const from = Number(address.searchParams.get('cursor') ?? 0);
    const isLast = from + page >= repo.files.size;
    const next = `${url}${address.pathname}?recursive=false&expand=false&cursor=${from + page}`;
    const shown = [...repo.files].slice(from, from + page);
    const entries = shown.map(([name, content]) => entryOf(name, content, declaredBytes));
    json(response, 200, entries, isLast ? {} : { link: `<${next}>; rel="next"` });
  }

  return hub;
}

function infoOf(name: string, { commit, token }: Repo) {
  return {
    _id: '1',
    id: name,
    sha: commit,
    private: token !== null,
    gated: false,
    downloads: 0,
    likes: 0,
    lastModified: '2026-01-01T00:00:00Z',
  };
}

function isLarge(name: string): boolean {
  return /\.(safetensors|bin)$/.test(name);
}

function entryOf(name: string, content: Buffer, size = content.length) {
  const gitSha1 = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
  const entry = { type: 'file', oid: gitSha1, size, path: name };
  if (!isLarge(name)) return entry;
  const oid = createHash('sha256').update(content).digest('hex');
  // Git's hash of the pointer, not of the content.
  return { ...entry, oid: 'f'.repeat(40), lfs: { oid, size, pointerSize: 134 } };
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function send(
  response: ServerResponse,
  content: Buffer,
  { range, fault }: { range: string | null; fault: HubFault },
): Promise<void> {
  const start = fault.ignoreRange ? 0 : Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
  let body = content.subarray(start);
  if (fault.corrupt) body = Buffer.from(body.map((byte) => byte ^ 0xff));
  if (fault.surplus) body = Buffer.concat([body, Buffer.from('surplus')]);
  const isPart = range !== null && !fault.ignoreRange;
  response.writeHead(isPart ? 206 : 200, {
    'content-length': body.length,
    ...(isPart && { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
  });
  const end = fault.cutAfter ?? fault.hangAfter;
  if (end === undefined) {
    response.end(body);
    return;
  }
  await new Promise<void>((resolve) => response.write(body.subarray(0, end), () => resolve()));
  if (fault.cutAfter !== undefined) response.destroy();
}

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function stop(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}
