import type { CertificateDocument } from '../../core/method/gate/certificate-document.ts';
import { setTimeout as sleep } from 'node:timers/promises';

/** An answer of the API that is a problem (RFC 9457). */
class ApiProblem extends Error {
  readonly status: number;
  readonly problem: Record<string, unknown>;

  constructor(method: string, path: string, status: number, problem: Record<string, unknown>) {
    super(`${method} ${path} answered ${status}: ${String(problem.detail ?? problem.title ?? 'no detail')}`);
    this.name = 'ApiProblem';
    this.status = status;
    this.problem = problem;
  }
}

export interface Job {
  readonly id: string;
  readonly tenant_id: string;
  readonly adapter_id: string;
  readonly adapter_name: string;
  readonly kind: 'adaptation' | 'control';
  readonly state: string;
  readonly phase: string;
  readonly strategy: string;
  readonly won_strategy: string | null;
  readonly fusion_alpha: number | null;
  readonly fusion_beta: number | null;
  readonly step: number;
  readonly total_steps: number;
  readonly metric: {
    readonly name: string;
    readonly target: number | null;
    readonly old: number | null;
    /** The value of the imported version on its own base, from which the margin counts. */
    readonly anchor: number | null;
    readonly none: number | null;
    readonly copy: number | null;
    readonly published: number | null;
    readonly best: number | null;
  };
  readonly certificate: CertificateDocument | null;
  readonly ttr_ms: number | null;
  readonly phases: Readonly<Record<string, number>>;
  readonly attempt: number;
  readonly error: { readonly code: string; readonly message: string; readonly detail?: string | null } | null;
  readonly published_version_id: string | null;
  readonly started_at: string | null;
}

export interface Rollout {
  readonly id: string;
  readonly state: string;
  readonly summary: { readonly makespan_ms: number | null };
  readonly error: { readonly message?: string; readonly detail?: string | null } | null;
  readonly paused_reason?: { readonly code: string; readonly message: string } | null;
}

export interface ApiClient {
  get<T>(path: string): Promise<T>;
  /** Sends JSON with an `Idempotency-Key`, so that the request could be repeated safely if its answer is lost. */
  post<T>(path: string, body: unknown): Promise<T>;
  /** Sends raw bytes, for example a dataset. */
  upload<T>(path: string, body: Buffer, contentType: string): Promise<T>;
}

/** For how long requests are repeated that the service asks to repeat, while its database starts again. */
const RETRY_MS = 90_000;

/** Creates a client that uses one API key. `origin` is `http://host:port`. */
export function createApiClient(origin: string, key: string): ApiClient {
  const send = async <T>(method: string, path: string, init: { body?: string | Buffer; type?: string }): Promise<T> => {
    const request = {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(init.type === undefined ? {} : { 'content-type': init.type, 'idempotency-key': crypto.randomUUID() }),
      },
      ...(init.body === undefined ? {} : { body: init.body as RequestInit['body'] }),
    };
    const deadline = Date.now() + RETRY_MS;
    let response = await fetch(`${origin}${path}`, request);
    for (
      let seconds = retryAfter(response);
      seconds !== null && Date.now() < deadline;
      seconds = retryAfter(response)
    ) {
      await sleep(seconds * 1000);
      response = await fetch(`${origin}${path}`, request);
    }
    const text = await response.text();
    const document = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    if (!response.ok) throw new ApiProblem(method, path, response.status, document);
    return document as T;
  };
  return {
    get: (path) => send('GET', path, {}),
    post: (path, body) => send('POST', path, { body: JSON.stringify(body), type: 'application/json' }),
    upload: (path, body, type) => send('POST', path, { body, type }),
  };
}

/** The seconds after which the service asks for the same request again; null if it does not. */
function retryAfter(response: Response): number | null {
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  return !response.ok && Number.isFinite(seconds) ? seconds : null;
}
