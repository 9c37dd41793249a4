/** Sources of each combined signal, kept alive as long as the signal. */
const sourcesOf = new WeakMap<AbortSignal, readonly AbortSignal[]>();
/** Request of each answer's body, kept alive as long as the body. */
const requestOf = new WeakMap<ReadableStream, Request>();

/**
 * Combines signals as `AbortSignal.any` does. Node 20 would forget an `AbortSignal.timeout` that nothing else
 * references.
 */
export function anySignal(sources: readonly AbortSignal[]): AbortSignal {
  const signal = AbortSignal.any([...sources]);
  sourcesOf.set(signal, sources);
  return signal;
}

/**
 * Sends a request whose signal can abort it until the last byte of its answer is read. Node 20 passes an abort from
 * request to request only while each is referenced, and it references neither a clone's nor an answer's request.
 * @param copy request to send instead of the original, because a body can be read only once
 */
export async function fetchWhole(fetchOnce: typeof fetch, request: Request, copy = request): Promise<Response> {
  const response = await fetchOnce(copy, { signal: request.signal });
  if (response.body !== null) requestOf.set(response.body, request);
  return response;
}
