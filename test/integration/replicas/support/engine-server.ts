import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type EngineKind = 'vllm' | 'sglang';

export interface EngineRequest {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Fault in place of an answer: an HTTP status, no answer, an endless one, or (`late`) that the request is carried out
 * without an answer. It lasts until the function returns something else.
 */
type Fault = (request: EngineRequest) => number | 'hang' | 'endless' | 'late' | undefined;

/** Server that keeps adapters and answers like an engine, modeled on its source. */
export interface EngineServer {
  readonly url: string;
  readonly kind: EngineKind;
  /** Path of each loaded adapter by name. */
  readonly loaded: ReadonlyMap<string, string>;
  /** Requests received so far, without list requests. */
  readonly changes: readonly EngineRequest[];
  /** Number of list requests. */
  readonly lists: number;
  /** Largest number of bytes of an endless answer that were sent before the connection closed. */
  readonly mostSent: number;
  /** Paths that do not exist for the engine. */
  readonly missing: Set<string>;
  /** Paths of adapters without effect, as if the engine did not use them. */
  readonly inert: Set<string>;
  fault: Fault;
  /** Key required in `Authorization: Bearer`; null requires none. */
  apiKey: string | null;
  /** Loads an adapter, as a third party would. */
  put(name: string, path: string): void;
  /** Starts over without adapters, like a restarted process. */
  restart(): void;
  /** Closes the port; `start` reopens it. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export async function createEngineServer(kind: EngineKind, servingName: string): Promise<EngineServer> {
  const loaded = new Map<string, string>();
  const changes: EngineRequest[] = [];
  let lists = 0;
  let mostSent = 0;
  let port = 0;
  let server: Server | null = null;
  const answer = kind === 'vllm' ? vllm : sglang;

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = { path: incoming.url ?? '', body: await readBody(incoming) };
    if (incoming.method === 'GET') lists += 1;
    else changes.push(request);
    const fault = engine.fault(request);
    if (fault === 'hang') return;
    if (fault === 'endless') {
      mostSent = Math.max(mostSent, await sendWithoutEnd(response));
      return;
    }
    if (typeof fault === 'number') return void respond(response, { status: fault, body: { error: 'out of order' } });
    const isAllowed = engine.apiKey === null || incoming.headers.authorization === `Bearer ${engine.apiKey}`;
    const given = isAllowed ? answer(request, { engine, loaded, servingName }) : refuse(401, 'Unauthorized');
    if (fault !== 'late') respond(response, given);
  }

  const engine: EngineServer & { url: string } = {
    url: '',
    kind,
    loaded,
    changes,
    get lists() {
      return lists;
    },
    get mostSent() {
      return mostSent;
    },
    missing: new Set(),
    inert: new Set(),
    fault: () => undefined,
    apiKey: null,
    put: (name, path) => void loaded.set(name, path),
    restart: () => loaded.clear(),
    async stop() {
      server?.closeAllConnections();
      await new Promise((resolve) => (server === null ? resolve(null) : server.close(resolve)));
      server = null;
    },
    async start() {
      const opened = createServer((request, response) => void handle(request, response));
      await new Promise<void>((resolve) => opened.listen(port, '127.0.0.1', resolve));
      server = opened;
      ({ port } = opened.address() as AddressInfo);
      engine.url = `http://127.0.0.1:${port}`;
    },
  };
  await engine.start();
  return engine;
}

interface EngineState {
  readonly engine: EngineServer;
  readonly loaded: Map<string, string>;
  readonly servingName: string;
}

/** Answers like vLLM 0.32 (vllm/entrypoints/openai/models/serving.py). */
function vllm({ path, body }: EngineRequest, state: EngineState): Answer {
  const { engine, loaded, servingName } = state;
  const name = String(body.lora_name);
  switch (path) {
    case '/v1/models':
      return listing(state, { permission: [{ id: 'modelperm-1' }] });
    case '/v1/load_lora_adapter':
      if (name === servingName) return vllmError(400, `The lora adapter '${name}' conflicts with a served base model.`);
      if (loaded.has(name) && body.load_inplace !== true) {
        return vllmError(400, `The lora adapter '${name}' has already been loaded.`);
      }
      if (engine.missing.has(String(body.lora_path))) {
        return vllmError(404, `Loading lora ${name} failed: No adapter found for ${String(body.lora_path)}`);
      }
      loaded.set(name, String(body.lora_path));
      return { status: 200, body: `Success: LoRA adapter '${name}' added successfully.` };
    case '/v1/unload_lora_adapter':
      if (!loaded.delete(name)) return vllmError(404, `The lora adapter '${name}' cannot be found.`);
      return { status: 200, body: `Success: LoRA adapter '${name}' removed successfully.` };
    case '/v1/completions': {
      const model = String(body.model);
      if (model !== servingName && !loaded.has(model)) return vllmError(404, `The model \`${model}\` does not exist.`);
      return completion(state, String(body.prompt), model === servingName ? null : model);
    }
    default:
      return refuse(404, 'Not Found');
  }
}

/** Answers like SGLang 0.5.23 (srt/entrypoints/http_server.py and srt/lora). An unknown model is the base model. */
function sglang({ path, body }: EngineRequest, state: EngineState): Answer {
  const { engine, loaded } = state;
  const name = String(body.lora_name);
  const failed = (error: string): Answer => ({ status: 400, body: { success: false, error_message: error } });
  switch (path) {
    case '/v1/models':
      return listing(state, { max_model_len: null });
    case '/load_lora_adapter':
      if (loaded.has(name)) return failed(`Failed to load LoRA adapter ${name} because it is already loaded`);
      if (engine.missing.has(String(body.lora_path))) return failed(`${String(body.lora_path)} does not exist`);
      loaded.set(name, String(body.lora_path));
      return { status: 200, body: { success: true, loaded_adapters: Object.fromEntries(loaded) } };
    case '/unload_lora_adapter':
      if (!loaded.delete(name)) return failed(`LoRA with name ${name} does not exist`);
      return { status: 200, body: { success: true, loaded_adapters: Object.fromEntries(loaded) } };
    case '/v1/completions': {
      const adapter = typeof body.lora_path === 'string' ? body.lora_path : null;
      if (adapter !== null && !loaded.has(adapter)) return failed(`LoRA adapters are not loaded: ${adapter}`);
      return completion(state, String(body.prompt), adapter);
    }
    default:
      return refuse(404, 'Not Found');
  }
}

function listing({ loaded, servingName }: EngineState, more: object): Answer {
  const card = (id: string, root: string, parent: string | null) => ({ id, object: 'model', root, parent, ...more });
  const adapters = [...loaded].map(([name, path]) => card(name, path, servingName));
  return { status: 200, body: { object: 'list', data: [card(servingName, servingName, null), ...adapters] } };
}

/** Completion with probabilities that an adapter changes a little; the text is the same for all models. */
function completion({ engine, loaded }: EngineState, prompt: string, adapter: string | null): Answer {
  const path = adapter === null ? undefined : loaded.get(adapter);
  const base = -1 - fraction(prompt);
  const shift = path === undefined || engine.inert.has(path) ? 0 : 1e-4 * (1 + fraction(path));
  const logprobs = { tokens: [' a', ' b'], token_logprobs: [base, base - shift] };
  return { status: 200, body: { choices: [{ index: 0, text: ' a b', logprobs, finish_reason: 'length' }] } };
}

/** Deterministic number from 0 to 1 for a text. */
function fraction(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}

function vllmError(code: number, message: string): Answer {
  return { status: code, body: { error: { message, type: 'Error', param: null, code } } };
}

function refuse(status: number, detail: string): Answer {
  return { status, body: { detail } };
}

function respond(response: ServerResponse, { status, body }: Answer): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json' }).end(text);
}

/** Writes spaces until the connection is closed. @returns the number of bytes that the system accepted */
async function sendWithoutEnd(response: ServerResponse): Promise<number> {
  const closed = once(response, 'close');
  const piece = ' '.repeat(64 * 1024);
  response.writeHead(200, { 'content-type': 'application/json' });
  while (!response.destroyed) {
    if (!response.write(piece)) await Promise.race([once(response, 'drain'), closed]);
  }
  return response.socket?.bytesWritten ?? 0;
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>);
}
