import { currentTraceparent, withTraceparent } from './current-trace.ts';
import type { Span, SpanOptions, Tracing, TracingOptions } from './spans.ts';

export type { Span, SpanAttributes, SpanOptions, Tracing } from './spans.ts';

const NO_SPAN: Span = { traceparent: null, set: () => undefined, end: () => undefined };

/** Tracing that records nothing. */
export const NO_TRACING: Tracing = {
  begin: () => NO_SPAN,
  flush: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};

export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { endpoint } = options;
  if (endpoint === null) return NO_TRACING;
  const { createOtlpTracing } = await import('./otlp-tracing.ts');
  return createOtlpTracing({ ...options, endpoint });
}

/**
 * Runs `work` in a span, which fails if `work` does. Spans that `work` begins with this function become its children.
 */
export async function inSpan<T>(
  tracing: Tracing,
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const span = tracing.begin(name, { ...options, parent: options.parent ?? currentTraceparent() });
  try {
    const result = await withTraceparent(span.traceparent, () => work(span));
    span.end();
    return result;
  } catch (error) {
    span.end(codeOf(error));
    throw error;
  }
}

/** Describes an error by its code or its name. Its message might contain text written by a tenant. */
function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'error';
}
