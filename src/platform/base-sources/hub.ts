import { listFiles, modelInfo } from '@huggingface/hub';
import { SETTINGS } from '../config/settings.ts';
import { afterBytes } from '../artifacts/after-bytes.ts';
import { AppError } from '../contract/errors.ts';
import { startDeadline } from '../../lib/timeout.ts';
import { requireFew, type ListingRules } from './listing.ts';
import { isRefusal, SourceError } from './source-error.ts';
import {
  sourceText,
  type HubSource,
  type PinnedFiles,
  type PinnedHub,
  type RemoteSource,
  type SourceFile,
} from './source.ts';

export interface HubSettings {
  /** Address of the hub or of a mirror. */
  readonly hubUrl: string;
  /** Token by which this process identifies itself to the hub; null if it has none. */
  readonly hubToken: string | null;
}

interface HubRequest {
  /** Token given for this source, which takes precedence over that of the process; null if none was given. */
  readonly token: string | null;
  readonly signal: AbortSignal;
}

/** Timeout for the next bytes of a file, or for the whole of any other answer, in milliseconds. */
const SILENT_MS = 60_000;

/** Largest size of an answer with data about a model, in bytes. A page of a thousand files has less than a megabyte. */
const MAX_ANSWER_BYTES = 32 << 20;

const COMMIT = /^[0-9a-f]{40}$/;

/** Reads models of a Hugging Face hub or of a mirror that speaks its API. */
export function createHub({ hubUrl, hubToken }: HubSettings, rules: ListingRules) {
  const address = hubUrl.replace(/\/+$/, '');
  const { origin } = new URL(address);
  const accessOf = (token: string | null): { authorization?: string } => {
    const known = token ?? hubToken;
    return known === null ? {} : { authorization: `Bearer ${known}` };
  };
  /**
   * Creates the `fetch` function for the library `@huggingface/hub`, which itself takes no signal, has no timeout, and
   * accepts only tokens of Hugging Face. The token is sent only to the hub, even if the next page of a listing is
   * elsewhere.
   */
  const fetchWith =
    ({ token, signal }: HubRequest): typeof fetch =>
    async (input, init) => {
      const isHub = new URL(input instanceof Request ? input.url : input).origin === origin;
      const headers = { ...(init?.headers as Record<string, string> | undefined), ...(isHub && accessOf(token)) };
      const deadline = startDeadline(SILENT_MS);
      try {
        const ended = AbortSignal.any([signal, deadline.signal]);
        const response = await fetch(input, { ...init, headers, signal: ended });
        if (response.ok) return bounded(response, deadline.clear);
        await response.body?.cancel();
        throw new HubStatus(response);
      } catch (error) {
        deadline.clear();
        throw error;
      }
    };

  return {
    /**
     * Resolves the revision to a commit and lists the files of that commit.
     * @throws SourceError
     */
    async pin(source: HubSource, request: HubRequest & { checkRepo?: (repo: string) => void }): Promise<PinnedFiles> {
      const shared = { hubUrl: address, fetch: fetchWith(request) };
      try {
        const { repo, revision } = source;
        const { sha, name } = await modelInfo({ name: repo, revision, additionalFields: ['sha'], ...shared });
        if (!COMMIT.test(sha)) throw new Error(`the hub says that the revision is commit ${JSON.stringify(sha)}`);
        request.checkRepo?.(String(name));
        const files: SourceFile[] = [];
        const names: string[] = [];
        // The library would parse a text: `datasets/x` would be a data set.
        const model = { type: 'model', name: repo } as const;
        for await (const entry of listFiles({ repo: model, revision: sha, recursive: false, ...shared })) {
          requireFew(source, names.push(entry.path), rules);
          if (entry.type === 'file') files.push(toFile(entry));
        }
        return {
          source: { ...source, commit: sha, hasToken: request.token !== null },
          files: rules.check(source, files, names),
        };
      } catch (error) {
        throw toSourceError(error, source, null, address);
      }
    },

    /**
     * Reads a file at its commit.
     * @param from offset of the first byte to read
     * @throws SourceError, also while bytes are read
     */
    async *read(
      source: PinnedHub,
      { name }: SourceFile,
      { from, token, signal }: HubRequest & { from: number },
    ): AsyncGenerator<Uint8Array> {
      const silence = createSilence(signal);
      try {
        const url = `${address}/${source.repo}/resolve/${source.commit}/${encodeURIComponent(name)}`;
        const headers = {
          ...accessOf(token),
          ...(from > 0 && { range: `bytes=${from}-` }),
          // Compression would change the bytes, which are counted and hashed as the source stores them.
          'accept-encoding': 'identity',
        };
        const response = await fetch(url, { headers, signal: silence.signal });
        if (!response.ok) throw new HubStatus(response);
        // A server without ranges sends the whole file.
        const skip = response.status === 206 ? 0 : from;
        yield* afterBytes(heardFrom(response.body ?? [], silence.heard), skip);
      } catch (error) {
        signal.throwIfAborted();
        throw toSourceError(error, source, name, address);
      } finally {
        silence.end();
      }
    },
  };
}

/** Limits the size of an answer of the hub. @param ended called when the answer was read to its end */
function bounded(response: Response, ended: () => void): Response {
  if (response.body === null) {
    ended();
    return response;
  }
  let bytes = 0;
  const limit = new TransformStream<Uint8Array, Uint8Array>({
    flush: ended,
    transform(chunk, controller) {
      bytes += chunk.length;
      if (bytes <= MAX_ANSWER_BYTES) controller.enqueue(chunk);
      else controller.error(new Error(`its answer has more than ${MAX_ANSWER_BYTES} bytes`));
    },
  });
  return new Response(response.body.pipeThrough(limit), response);
}

/** Error of a hub's answer with an unexpected HTTP status. */
class HubStatus extends Error {
  readonly statusCode: number;
  readonly retryAfter: string | null;

  constructor({ status, headers }: Response) {
    super(`HTTP ${status}`);
    this.statusCode = status;
    this.retryAfter = headers.get('retry-after');
  }
}

/**
 * Creates a signal that aborts a request if no data arrives for a while, so that a new connection can replace one that
 * hangs.
 */
function createSilence(signal: AbortSignal) {
  const controller = new AbortController();
  const giveUp = () => controller.abort(new Error(`nothing was received for ${SILENT_MS / 1000} s`));
  let timer = setTimeout(giveUp, SILENT_MS);
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    heard: () => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, SILENT_MS);
    },
    end: () => {
      clearTimeout(timer);
      controller.abort();
    },
  };
}

async function* heardFrom(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  heard: () => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    heard();
    yield chunk;
  }
}

function toFile(entry: { path: string; size: number; oid?: string; lfs?: { oid: string; size: number } }): SourceFile {
  return {
    name: entry.path,
    size: entry.lfs?.size ?? entry.size,
    sha256: entry.lfs?.oid ?? null,
    gitSha1: entry.lfs === undefined ? (entry.oid ?? null) : null,
    etag: null,
    versionId: null,
  };
}

/** Converts a failure of the hub, or a missing answer, to an error for the caller. */
function toSourceError(error: unknown, source: RemoteSource, file: string | null, hub: string): Error {
  if (error instanceof SourceError || error instanceof AppError) return error;
  const what = `${file === null ? '' : `${file} of `}${sourceText(source)}`;
  const status = error instanceof HubStatus ? error.statusCode : null;
  const options = { cause: error };
  if (status === 401 || status === 403) {
    const message =
      `the hub ${hub} does not let this process read ${what} (HTTP ${status}): if it is private or gated, give a ` +
      `token of somebody who may read it as \`source.token\` or in ${SETTINGS.hubToken.variable}; hubs answer so for ` +
      'names that do not exist, too';
    return new SourceError('source_unauthorized', message, options);
  }
  if (status === 404) {
    const message = `the hub ${hub} has no ${what}: check its name and revision, and ${SETTINGS.hubUrl.variable}`;
    return new SourceError('source_not_found', message, options);
  }
  if (status === 429) {
    const message =
      `the hub ${hub} limits requests (HTTP 429) at ${what}: it is asked again later; a token in ` +
      `${SETTINGS.hubToken.variable} has a higher limit`;
    return new SourceError('source_unreachable', message, { ...options, retryAfterMs: retryAfterOf(error) });
  }
  if (isRefusal(status)) {
    const message = `the hub refuses to send ${what} (HTTP ${status}): check its name and revision`;
    return new SourceError('source_refused', message, options);
  }
  const why = status === null ? reasonOf(error) : `HTTP ${status}`;
  const message =
    `the hub ${hub} could not be read at ${what} (${why}): check ` +
    `${SETTINGS.hubUrl.variable} and the network of this machine`;
  return new SourceError('source_unreachable', message, options);
}

function retryAfterOf(error: unknown): number | null {
  const seconds = error instanceof HubStatus ? Number(error.retryAfter ?? Number.NaN) : Number.NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
}

/** Text of the innermost cause, because `fetch failed` alone does not tell the reason. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) return reasonOf(cause);
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
  return code ?? (error instanceof Error ? error.message : String(error));
}
