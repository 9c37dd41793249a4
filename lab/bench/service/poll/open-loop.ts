export interface Sample<T> {
  readonly operation: T;
  readonly status: number;
  /** Milliseconds from the time at which the request was due to the end of its answer. */
  readonly latencyMs: number;
}

interface Load<T> {
  /** Requests a second. They are due at equal intervals, whether or not others have been answered. */
  readonly rate: number;
  readonly seconds: number;
  readonly next: () => T;
  /** Sends the request. @returns the status of the answer; a rejection ends the load */
  readonly send: (operation: T) => Promise<number>;
}

/**
 * Sends requests at a fixed rate, as an open loop. A latency counts from the time at which the request was due: a stall
 * of the service delays all requests due meanwhile, and a client that waits for each answer would see only one of them.
 */
export async function sendAtRate<T>({ rate, seconds, next, send }: Load<T>): Promise<Sample<T>[]> {
  const samples: Sample<T>[] = [];
  const total = Math.round(rate * seconds);
  const start = performance.now();
  const requests: Promise<void>[] = [];
  const request = async (due: number): Promise<void> => {
    const operation = next();
    const status = await send(operation);
    samples.push({ operation, status, latencyMs: performance.now() - due });
  };
  for (let sent = 0; sent < total;) {
    for (; sent < total; sent++) {
      const due = start + (sent * 1000) / rate;
      if (due > performance.now()) break;
      requests.push(request(due));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(requests);
  return samples;
}
