import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIPv6, type LookupFunction } from 'node:net';
import { packageVersion } from '../../../core/installation/package-path.ts';
import type { AddressPolicy } from './address-policy.ts';
import { findRequestTarget, resolveByDns, type Resolve, type RequestTarget } from './target.ts';

export interface OutgoingOptions {
  readonly policy: AddressPolicy;
  /** Resolver of host names (default: DNS). */
  readonly resolve?: Resolve;
  /** Time limit of a request, from the DNS lookup to the end of the answer, in milliseconds (default 15,000). */
  readonly timeoutMs?: number;
  /** Largest number of bytes of an answer that are read (default 16 KiB). The rest of a longer answer is ignored. */
  readonly maxAnswerBytes?: number;
}

export interface OutgoingRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Signal that aborts the request. */
  readonly signal?: AbortSignal;
}

interface SentRequest extends Omit<OutgoingRequest, 'body'> {
  /** Body to send by POST; null sends a GET without a body. */
  readonly body: string | null;
}

/** Reason why a request has no answer. */
export type SendFailure = 'no_allowed_address' | 'timeout' | 'connection_failed' | 'aborted';

export type SendResult =
  | { readonly status: number; readonly body: string; readonly retryAfterMs: number | null; readonly latencyMs: number }
  | { readonly failure: SendFailure; readonly latencyMs: number };

/** Sends JSON by POST. Failures are returned and never thrown. */
export type Post = (request: OutgoingRequest) => Promise<SendResult>;

/** Sends JSON by POST, or a GET if there is no body. Failures are returned and never thrown. */
export type Send = (request: SentRequest) => Promise<SendResult>;

const MAX_ANSWER = 16 * 1024;
const MAX_HEADERS = 16 * 1024;

/** Creates a function that sends requests by POST only; see {@link createSend}. */
export const createPost = (options: OutgoingOptions): Post => createSend(options);

/**
 * Creates the function that sends requests to addresses that others have named. It sends only to allowed addresses,
 * without following redirects, without a proxy, cookies or credentials of this process, and on a new connection each
 * time.
 */
export function createSend(options: OutgoingOptions): Send {
  const { policy, resolve = resolveByDns, timeoutMs = 15_000, maxAnswerBytes = MAX_ANSWER } = options;
  return async (request) => {
    const began = performance.now();
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
    const failed = (failure: SendFailure): SendResult => ({
      failure: timeout.aborted ? 'timeout' : request.signal?.aborted === true ? 'aborted' : failure,
      latencyMs: performance.now() - began,
    });
    try {
      const target = await findRequestTarget(new URL(request.url), { policy, resolve, signal });
      if (target === null) return failed('no_allowed_address');
      const answer = await exchange(target, request, { signal, maxAnswerBytes });
      return { ...answer, latencyMs: performance.now() - began };
    } catch {
      return failed('connection_failed');
    }
  };
}

/** Sends a request to a checked address, and reads the answer. @throws Error of the connection */
async function exchange(
  { url, address }: RequestTarget,
  { headers, body }: SentRequest,
  { signal, maxAnswerBytes }: { signal: AbortSignal; maxAnswerBytes: number },
) {
  const isSecure = url.protocol === 'https:';
  const agent = isSecure ? new HttpsAgent() : new HttpAgent();
  try {
    const response = await new Promise<IncomingMessage>((settle, reject) => {
      const sent = (isSecure ? httpsRequest : httpRequest)(url, {
        method: body === null ? 'GET' : 'POST',
        agent,
        lookup: onlyTo(address),
        signal,
        maxHeaderSize: MAX_HEADERS,
        headers: {
          ...(body !== null && {
            'content-type': 'application/json; charset=utf-8',
            'content-length': Buffer.byteLength(body),
          }),
          'user-agent': `readapt/${packageVersion()}`,
          connection: 'close',
          ...headers,
        },
      });
      sent
        .once('response', settle)
        .once('error', reject)
        // If the server switches to another protocol, Node drops the connection, with neither an answer nor an error.
        .once('close', () => reject(new Error('the connection was closed without an answer')))
        .end(body ?? undefined);
    });
    const retryAfter = /^\d{1,6}$/.exec(response.headers['retry-after'] ?? '')?.[0];
    return {
      status: response.statusCode ?? 0,
      body: await readStart(response, maxAnswerBytes),
      retryAfterMs: retryAfter === undefined ? null : Number(retryAfter) * 1000,
    };
  } finally {
    agent.destroy();
  }
}

/** Creates a lookup function that resolves every host name to the address that was checked. */
function onlyTo(address: string): LookupFunction {
  const family = isIPv6(address) ? 6 : 4;
  return (_name, options, done) => {
    if (options.all === true) done(null, [{ address, family }]);
    else done(null, address, family);
  };
}

async function readStart(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= maxBytes) break;
  }
  response.destroy();
  return Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8');
}
