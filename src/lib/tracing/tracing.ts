import { currentTraceparent, withTraceparent } from './current-trace.ts';

/** What a span says of its subject: identifiers and figures, and never what a tenant has written. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** The span as other processes name it as their parent (W3C Trace Context); null where nothing is traced. */
  readonly traceparent: string | null;
  set(attributes: SpanAttributes): void;
  /** Ends the span. @param code says that it failed, and how */
  end(code?: string): void;
}

export interface SpanOptions {
  /**
   * The `traceparent` of the span that this one is a part of. {@link inSpan} takes the one that the running code is in; without any, the
   * span begins a trace of its own.
   */
  readonly parent?: string | null;
  /** The `traceparent` of a span in another trace that this one belongs to. */
  readonly link?: string | null;
  readonly attributes?: SpanAttributes;
}

/** The spans of a process. */
export interface Tracing {
  begin(name: string, options?: SpanOptions): Span;
  /** Hands over the spans that have ended. It never rejects. */
  flush(): Promise<void>;
  /** Hands over the last spans. It never rejects. */
  stop(): Promise<void>;
}

const NO_SPAN: Span = { traceparent: null, set: () => undefined, end: () => undefined };

/** Traces nothing. */
export const NO_TRACING: Tracing = {
  begin: () => NO_SPAN,
  flush: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};

export interface TracingOptions {
  /** Base URL of a collector that takes OTLP over HTTP; null traces nothing, and loads nothing. */
  endpoint: string | null;
  /** The process, such as `readapt-api`. */
  service: string;
  version: string;
}

export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { endpoint } = options;
  if (endpoint === null) return NO_TRACING;
  const { createOtlpTracing } = await import('./otlp-tracing.ts');
  return createOtlpTracing({ ...options, endpoint });
}

/** Runs work in a span, which fails if the work does. Spans that the work begins by this function are parts of it. */
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

/** A message may have what a tenant has written, and a code never has. */
function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'error';
}
