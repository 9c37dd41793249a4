/** Attributes of a span: identifiers and figures, never text that a tenant has written. */
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
   * The `traceparent` of the span that this one is a part of. {@link inSpan} takes the one that the running code is in;
   * without any, the span begins a trace of its own.
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

export interface TracingOptions {
  /** Base URL of a collector that takes OTLP over HTTP; null traces nothing, and loads nothing. */
  endpoint: string | null;
  /** The process, such as `readapt-api`. */
  service: string;
  version: string;
}
