/** Attributes of a span: identifiers and numbers, never text written by a tenant. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** Identifier by which other processes name the span as their parent (W3C Trace Context); null without tracing. */
  readonly traceparent: string | null;
  set(attributes: SpanAttributes): void;
  /** Ends the span. @param code error code if the span has failed */
  end(code?: string): void;
}

export interface SpanOptions {
  /**
   * Parent of the span, as a `traceparent` (W3C Trace Context). Without one, {@link inSpan} takes the span of the
   * running code. A span that has no parent at all begins a new trace.
   */
  readonly parent?: string | null;
  /** `traceparent` of a span in another trace to which this span is linked. */
  readonly link?: string | null;
  readonly attributes?: SpanAttributes;
}

/** Records the spans of a process and sends them to a collector. */
export interface Tracing {
  begin(name: string, options?: SpanOptions): Span;
  /** Sends the spans that have ended to the collector. Never rejects. */
  flush(): Promise<void>;
  /** Sends the last spans to the collector and ends the tracing. Never rejects. */
  stop(): Promise<void>;
}

export interface TracingOptions {
  /** Base URL of a collector that accepts OTLP over HTTP. With null, nothing is traced and no library is loaded. */
  endpoint: string | null;
  /** Name of the process, such as `readapt-api`. */
  service: string;
  version: string;
}
