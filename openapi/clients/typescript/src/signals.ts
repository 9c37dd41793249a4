/** What a signal was made of, for as long as it is there. */
const sourcesOf = new WeakMap<AbortSignal, readonly AbortSignal[]>();
/** The request whose answer a body is, for as long as the body is there. */
const requestOf = new WeakMap<ReadableStream, Request>();

/** `AbortSignal.any`, for any sources: Node 20 forgets an `AbortSignal.timeout` among them that nothing else holds. */
export function anySignal(sources: readonly AbortSignal[]): AbortSignal {
  const signal = AbortSignal.any([...sources]);
  sourcesOf.set(signal, sources);
  return signal;
}

/**
 * Sends a request whose signal ends it until the last byte of its answer is read. Node 20 hands an abort on from request to request
 * only while each is held, which neither a clone's nor that of an answer is.
 *
 * @param copy what is sent in place of the request, whose body can be read once
 */
export async function fetchWhole(fetchOnce: typeof fetch, request: Request, copy = request): Promise<Response> {
  const response = await fetchOnce(copy, { signal: request.signal });
  if (response.body !== null) requestOf.set(response.body, request);
  return response;
}
