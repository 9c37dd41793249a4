import http from 'node:http';

interface Answer {
  status: number;
  etag: string | null;
  body: string;
}

export type Client = ReturnType<typeof createClient>;

/** Creates an HTTP client that takes little processor time beside the service. */
export function createClient(url: string, key: string, agent = new http.Agent({ keepAlive: true, maxSockets: 64 })) {
  const { hostname, port } = new URL(url);
  return {
    request: (
      path: string,
      options: { method?: string; body?: object; headers?: Record<string, string> } = {},
    ): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const body = options.body === undefined ? undefined : JSON.stringify(options.body);
        const headers: http.OutgoingHttpHeaders = { authorization: `Bearer ${key}`, ...options.headers };
        if (body !== undefined) headers['content-type'] = 'application/json';
        const request = http.request(
          { hostname, port, path, agent, method: options.method ?? 'GET', headers },
          (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('error', reject);
            response.on('end', () => {
              const text = Buffer.concat(chunks).toString('utf8');
              resolve({ status: response.statusCode ?? 0, etag: response.headers.etag ?? null, body: text });
            });
          },
        );
        request.on('error', reject);
        request.end(body);
      }),
    close: () => agent.destroy(),
  };
}
