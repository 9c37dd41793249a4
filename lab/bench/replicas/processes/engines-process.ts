/**
 * Process with servers that speak vLLM's API and compute nothing, each with its own adapters. Arguments: number of
 * servers, and serving name of the base.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Request to all engines: load adapters, or return the path of the adapter with a name. */
export type EnginesRequest = { fill: [name: string, path: string][] } | { pathOf: string };

const [, , count = '1', servingName = ''] = process.argv;

class Engine {
  readonly loaded = new Map<string, string>();
  #listing: string | null = null;

  change(path: string, { lora_name: name, lora_path: folder }: Record<string, string>): number {
    this.#listing = null;
    if (path.endsWith('/unload_lora_adapter')) return this.loaded.delete(name!) ? 200 : 404;
    if (this.loaded.has(name!)) return 400;
    this.loaded.set(name!, folder!);
    return 200;
  }

  fill(adapters: readonly [string, string][]): void {
    this.#listing = null;
    for (const [name, path] of adapters) this.loaded.set(name, path);
  }

  /** Answer to `GET /v1/models` in vLLM's format. */
  list(): string {
    const permission = [{ id: 'modelperm-1', object: 'model_permission', allow_sampling: true, organization: '*' }];
    const card = (id: string, root: string, parent: string | null) => ({
      ...{
        id,
        object: 'model',
        created: 1_764_000_000,
        owned_by: 'vllm',
        root,
        parent,
        max_model_len: null,
        permission,
      },
    });
    const adapters = [...this.loaded].map(([name, path]) => card(name, path, servingName));
    this.#listing ??= JSON.stringify({ object: 'list', data: [card(servingName, servingName, null), ...adapters] });
    return this.#listing;
  }
}

function completion(model: string): string {
  const shift = model === servingName ? 0 : 0.01;
  const logprobs = { token_logprobs: [-1, -1 - shift] };
  return JSON.stringify({ choices: [{ index: 0, text: ' a b', logprobs, finish_reason: 'length' }] });
}

async function answer(engine: Engine, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const path = request.url ?? '';
  if (request.method === 'GET') return void response.end(engine.list());
  const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, string>;
  if (path === '/v1/completions') return void response.end(completion(body.model!));
  response.writeHead(engine.change(path, body)).end('{}');
}

const engines = Array.from({ length: Number(count) }, () => new Engine());
const servers = engines.map((engine) =>
  createServer((request, response) => void answer(engine, request, response)).listen(0, '127.0.0.1'),
);
for (const server of servers) if (!server.listening) await once(server, 'listening');
process.on('message', (message: EnginesRequest) => {
  if ('fill' in message) for (const engine of engines) engine.fill(message.fill);
  process.send?.('pathOf' in message ? engines.map(({ loaded }) => loaded.get(message.pathOf) ?? null) : []);
});
process.send?.(servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`));
process.once('SIGTERM', () => process.exit(0));
// End with the benchmark.
process.once('disconnect', () => process.exit(1));
