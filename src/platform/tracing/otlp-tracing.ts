import {
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  TraceFlags,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Span, SpanOptions, Tracing, TracingOptions } from './spans.ts';

/** Longest time for which an unreachable collector delays the end of a process, in milliseconds. */
const EXPORT_TIMEOUT_MS = 3000;

/**
 * Creates tracing that sends spans to a collector in batches. While the collector cannot be reached, spans are lost;
 * nothing waits for it.
 */
export function createOtlpTracing({
  endpoint,
  service,
  version,
}: TracingOptions & { readonly endpoint: string }): Tracing {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1000 })],
  });
  const tracer = provider.getTracer('readapt', version);
  return {
    begin: (name, options = {}) => begin(tracer, name, options),
    flush: () => provider.forceFlush().catch(() => undefined),
    stop: () => provider.shutdown().catch(() => undefined),
  };
}

function begin(tracer: Tracer, name: string, { parent = null, link = null, attributes }: SpanOptions): Span {
  const around = parseTraceparent(parent);
  const linked = parseTraceparent(link);
  const span = tracer.startSpan(
    name,
    { attributes: { ...attributes }, links: linked === null ? [] : [{ context: linked }] },
    around === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, around),
  );
  return {
    traceparent: formatTraceparent(span.spanContext()),
    set: (more) => void span.setAttributes({ ...more }),
    end: (code) => {
      if (code !== undefined) {
        span.setAttribute('error.type', code);
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;

/** Parses a `traceparent`. @returns null for any other text, so that the span begins a new trace */
function parseTraceparent(text: string | null): SpanContext | null {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  const sampled = (Number.parseInt(flags, 16) & TraceFlags.SAMPLED) === TraceFlags.SAMPLED;
  const context = { traceId, spanId, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true };
  return isSpanContextValid(context) ? context : null;
}

function formatTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
